"""Names for the demonstration: sections of a prefecture, the municipalities of Mie, invented people and firms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# id: (Japanese name, share of the staff). The ids are those that a catalogue row names as `departments`.
SECTIONS: Final[Mapping[str, tuple[str, int]]] = {
    "soumu": ("総務課", 4),
    "jinji": ("人事課", 3),
    "zaisei": ("財政課", 3),
    "zeimu": ("税収確保課", 4),
    "kanzai": ("管財課", 3),
    "digital": ("デジタル改革推進課", 3),
    "kikaku": ("企画課", 3),
    "kouhou": ("広聴広報課", 2),
    "toukei": ("統計課", 2),
    "bousai": ("防災企画・地域支援課", 3),
    "saigai": ("災害対策課", 2),
    "iryou": ("医療政策課", 4),
    "kenkou": ("健康推進課", 3),
    "kodomo": ("子どもの育ち支援課", 3),
    "fukushi": ("福祉監査課", 3),
    "kankyo": ("環境共生局", 4),
    "haikibutsu": ("廃棄物対策課", 3),
    "jinken": ("人権課", 2),
    "bunka": ("文化振興課", 2),
    "chiiki": ("地域づくり推進課", 3),
    "koutsu": ("交通政策課", 2),
    "nougyou": ("農産園芸課", 4),
    "shinrin": ("森林・林業経営課", 3),
    "suisan": ("水産振興課", 3),
    "koyou": ("雇用対策課", 2),
    "sangyou": ("ものづくり産業振興課", 3),
    "kankou": ("観光誘客推進課", 2),
    "douro": ("道路建設課", 4),
    "kasen": ("河川課", 3),
    "kouwan": ("港湾・海岸課", 2),
    "toshi": ("都市政策課", 3),
    "juutaku": ("住宅政策課", 2),
    "suitou": ("出納総務課", 2),
    "kigyou": ("企業総務課", 3),
    "kyouiku": ("教育総務課", 5),
    "koukou": ("高校教育課", 4),
    "gikai": ("議会事務局総務課", 1),
    "kansa": ("監査委員事務局", 1),
    "kuwana-jimusho": ("桑名地域防災総合事務所", 8),
    "yokkaichi-jimusho": ("四日市地域防災総合事務所", 12),
    "suzuka-jimusho": ("鈴鹿地域防災総合事務所", 8),
    "tsu-jimusho": ("津地域防災総合事務所", 12),
    "matsusaka-jimusho": ("松阪地域防災総合事務所", 10),
    "nansei-shima": ("南勢志摩地域活性化局", 9),
    "iga-jimusho": ("伊賀地域防災総合事務所", 8),
    "kihoku-kasseika": ("紀北地域活性化局", 6),
    "kinan-kasseika": ("紀南地域活性化局", 6),
}

MUNICIPALITIES: Final[Mapping[str, str]] = {
    "tsu": "津市",
    "yokkaichi": "四日市市",
    "ise": "伊勢市",
    "matsusaka": "松阪市",
    "kuwana": "桑名市",
    "suzuka": "鈴鹿市",
    "nabari": "名張市",
    "owase": "尾鷲市",
    "kameyama": "亀山市",
    "toba": "鳥羽市",
    "kumano": "熊野市",
    "inabe": "いなべ市",
    "shima": "志摩市",
    "iga": "伊賀市",
    "kisosaki": "木曽岬町",
    "toin": "東員町",
    "komono": "菰野町",
    "asahi": "朝日町",
    "kawagoe": "川越町",
    "taki": "多気町",
    "meiwa": "明和町",
    "odai": "大台町",
    "tamaki": "玉城町",
    "watarai": "度会町",
    "taiki": "大紀町",
    "minamiise": "南伊勢町",
    "kihoku": "紀北町",
    "mihama": "御浜町",
    "kiho": "紀宝町",
}

VENDORS: Final[Mapping[str, str]] = {
    "vendor-a": "架空ネットワークサービス株式会社",
    "vendor-b": "架空システム開発株式会社",
    "vendor-c": "架空データセンター株式会社",
    "vendor-d": "架空保守サービス株式会社",
}

_FAMILY: Final = (
    "伊藤 山本 中村 田中 鈴木 加藤 小林 水谷 森 山口 前田 西村 山田 橋本 松本 奥田 中川 辻 川口 中西 "
    "稲垣 岡田 清水 服部 長谷川 西川 坂本 谷口 藤田 大西 太田 浜口 石川 上野 北村 世古 倉田 東 堀 別所"
)
_GIVEN: Final = (
    "翔太 健一 誠 直樹 大輔 拓也 浩二 隆 亮 和也 智子 美咲 陽子 恵 由美 真由 香織 彩 愛 裕子 "
    "結衣 葵 さくら 陽菜 悠斗 蓮 湊 樹 大和 颯 幸子 清 進 茂 弘 文子 久美 舞 純 薫"
)
FAMILY_NAMES: Final = tuple(_FAMILY.split())
GIVEN_NAMES: Final = tuple(_GIVEN.split())

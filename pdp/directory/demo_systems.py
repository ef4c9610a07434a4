"""Systems of the demonstration prefecture beside those that the specification names: what any prefecture runs.

The catalogue of the bundle holds the systems of the specification, which is every site's beginning; what is invented
stands in the demonstration's own register. With the bundle's rows 50 systems are in service once the prefecture has
moved, and the rest of the catalogue has ended or is read-only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pdp.directory.demo_places import MUNICIPALITIES
from pdp.model.directory import ALWAYS, JST, CatalogueRow, Period, SegmentFrom

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.model.input import ResourceGroup

_HOME: Final = ("mie",)
_MOVED: Final = datetime(2023, 2, 1, tzinfo=JST).astimezone(UTC)  # the day of the catalogue's own cut-over
_SUBSCRIBED: Final = datetime(2023, 4, 1, tzinfo=JST).astimezone(UTC)

_MOVING: Final = (SegmentFrom("lgwan"), SegmentFrom("internet", _MOVED))
_INTERNET: Final = (SegmentFrom("internet"),)
_LGWAN: Final = (SegmentFrom("lgwan"),)
_MYNUMBER: Final = (SegmentFrom("mynumber"),)
_CLOUD: Final = (SegmentFrom("cloud"),)

# (id, Japanese, English, departments that it is for; none: for all)
_Named = tuple[str, str, str, tuple[str, ...]]
_SYSTEMS: Final[Mapping[tuple[ResourceGroup, tuple[SegmentFrom, ...], int], tuple[_Named, ...]]] = {
    ("communication", _CLOUD, 2): (
        ("cloud-phone", "クラウド内線電話", "cloud telephony", ()),
        ("paperless-meeting", "ペーパーレス会議", "paperless meetings", ()),
    ),
    ("no_code", _CLOUD, 2): (("generative-ai", "生成AI（庁内利用）", "generative AI for staff", ()),),
    # Moved with the network, beside document management and finance.
    ("business", _MOVING, 3): (
        ("personnel-payroll", "人事給与システム", "personnel and payroll", ("jinji", "soumu")),
        ("staff-services", "庶務事務システム（休暇・旅費）", "leave and travel expenses", ()),
        ("e-procurement", "電子調達システム（入札・契約）", "electronic procurement", ()),
        ("public-property", "公有財産管理システム", "public property register", ("kanzai", "zaisei")),
        ("civil-estimation", "土木積算システム", "civil engineering estimates", ("douro", "kasen", "kouwan", "toshi")),
        ("integrated-gis", "統合型GIS", "integrated geographic information", ()),
        ("school-affairs", "校務支援システム", "school administration", ("kyouiku", "koukou")),
    ),
    # Lent terminals in the field: inspections of roads, rivers, farms and woods.
    ("business", _INTERNET, 2): (
        ("field-inspection", "現地調査支援（モバイル端末）", "field inspection",
         ("douro", "kasen", "nougyou", "shinrin", "suisan")),
    ),
    # Services for the offices' own work: no part of the communication platform, so never for private devices.
    ("business", _CLOUD, 2): (
        ("e-application", "電子申請・届出サービス（審査）", "online applications, back office", ()),
        ("e-contract", "電子契約サービス", "electronic contracts", ()),
    ),
    ("lgwan", _LGWAN, 3): (
        ("lgwan-documents", "LGWAN電子文書交換システム", "exchange of documents over LGWAN", ()),
        ("local-tax-portal", "地方税ポータル審査システム（eLTAX）", "local tax portal, examination", ("zeimu",)),
    ),
    ("mynumber", _MYNUMBER, 3): (
        ("prefectural-tax", "県税総合システム", "prefectural taxes", ("zeimu",)),
        ("resident-register", "住民基本台帳ネットワーク", "basic resident register network", ()),
        ("welfare-benefits", "生活保護・福祉手当システム", "public assistance and allowances", ("fukushi", "kodomo")),
        ("intractable-disease", "指定難病医療費助成システム", "subsidies for rare diseases", ("kenkou", "iryou")),
    ),
    ("server_admin", _MOVING, 3): (("backup-platform", "バックアップ基盤", "backup platform", ()),),
    ("account_admin", _INTERNET, 3): (
        ("device-management", "端末管理・EDR 管理画面", "console of device management and EDR", ()),
    ),
    ("disaster", _INTERNET, 2): (
        ("river-information", "河川・砂防情報システム", "river and landslide information", ()),
    ),
    ("remediation", _INTERNET, 1): (("device-desk", "端末の登録・再設定窓口", "device registration desk", ()),),
}  # fmt: skip


def demo_systems() -> tuple[CatalogueRow, ...]:
    """The invented systems, and what each municipality has on the data platform. The same in every run."""
    return tuple(sorted([*_invented(), *_data_of_municipalities()], key=lambda row: row.id))


def _invented() -> Iterator[CatalogueRow]:
    for (group, segments, sensitivity), systems in _SYSTEMS.items():
        for id_, ja, en, departments in systems:
            yield CatalogueRow(
                id=id_,
                group=group,
                segments=segments,
                service=Period(_SUBSCRIBED) if segments == _CLOUD else ALWAYS,
                departments=departments,
                organisations=_HOME,
                sensitivity=sensitivity,
                title_ja=ja,
                title_en=en,
            )


def _data_of_municipalities() -> Iterator[CatalogueRow]:
    for place, name in MUNICIPALITIES.items():
        yield CatalogueRow(
            id=f"data-{place}",
            group="data",
            segments=_CLOUD,
            organisations=(place,),
            title_ja=f"{name}のデータ",
            title_en=f"data of {place}",
        )

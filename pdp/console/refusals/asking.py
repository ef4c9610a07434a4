"""What is wrong with how something was asked: members, parameters, texts, times, sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKING: Final[Mapping[str, str]] = {
    # pdp.governance
    "this caller may not see policies": "アクセス制御ポリシーを見る権限がありません",
    "the body is not `application/json`": "本文が `application/json` ではありません",
    "the body is not a JSON object": "本文が JSON のオブジェクトではありません",
    "a parameter stands more than once, or there are too many": "同じ指定が重複しているか、指定が多すぎます",
    "`{}` is no number of a revision": "`{0}` は版の番号ではありません",
    "the query string is not one": "アドレスの指定（クエリー）を読み取れません",
    "`{}` is missing": "`{0}` の指定がありません",
    "`{}` is not a text": "`{0}` が文字列ではありません",
    "`{}` is not a whole number of {} to {}": "`{0}` は {1}～{2} の整数で指定してください",
    "`{}` is no time with its offset (RFC 3339)": "`{0}` が時差付きの日時（RFC 3339）ではありません",
    "`at` is no time with its offset (RFC 3339)": "日時を正しく指定してください（例: 2026-04-01 08:30）",
    "`{}` is no object of texts": "`{0}` が、名前と文字列の組ではありません",
    "`{}` is no object": "`{0}` がオブジェクトではありません",
    "`{}` is neither `true` nor `false`": "`{0}` は `true` か `false` で指定してください",
    "`{}` is no list of texts": "`{0}` が文字列の一覧ではありません",
    "there is no member `{}`": "`{0}` という項目はありません",
    "`statement` and `signatures` belong together": "`statement` と `signatures` は両方とも指定してください",
    "there is no state `{}`": "`{0}` という状態はありません",
    "`step` is one of {}": "`step` は次のいずれかです: {0}",
    "`kind` is one of {}": "`kind` は次のいずれかです: {0}",
    "there is no kind `{}`": "`{0}` という種類はありません",
    "there is no context `{}`": "`{0}` という利用の状況はありません",
    "there is no fact `{}`": "`{0}` という判定の項目はありません",
    "there is no target `{}`": "`{0}` という書出し先はありません",
    "`kind` is `population`, `replay`, `mutation` or `check`": (
        "種類は `population`（全利用者）、`replay`（記録した判定）、`mutation`（変異）、`check`（検査）のいずれかです"
    ),
    "`days` is a replay's": "日数は、記録した判定の再判定にだけ指定できます",
    "a time of warning is foreseen as of now, without `at`": (
        "警告期間を考慮した予測は現在の日時で行います。先の日時は指定しないでください"
    ),
    "a job of the kind `{}` takes no further member": "種類 `{0}` の処理に、ほかの項目は指定できません",
    "a replay takes `days`, and nothing else": "再判定に指定できるのは日数だけです",
    "a document, an example or a system is needed": "システムを選ぶか、例または文書を指定してください",
    "everybody can be judged by a policy of profile `zta` only": (
        "全利用者の予測ができるのは、プロファイル `zta` のアクセス制御ポリシーだけです"
    ),
    "facts of a person or a device need the permission `read_directory`": (
        "利用者や端末の情報を使うには、台帳を見る権限（`read_directory`）が必要です"
    ),
    "this caller sees some departments alone, and a result speaks of all": (
        "閲覧できる所属が限られているため、全所属にわたる結果は表示できません"
    ),
    "that is no text": "文字として読み取れない部分があります",
    # pdp.strict_json, pdp.wire
    "{} (offset {})": "{0:said}（{1} バイト目）",
    "the body is larger than {} bytes": "送信された内容が大きすぎます（上限 {0} バイト）",
    "the body begins with a byte order mark, which JSON does not allow (offset 0)": (
        "本文の先頭に、JSON では使えない印（BOM）があります"
    ),
    "the body holds more than {} values": "本文の値が多すぎます（上限 {0} 個）",
    "the body is nested deeper than {} levels": "本文の入れ子が深すぎます（上限 {0} 段）",
    "the body is not I-JSON": "本文が正しい JSON（I-JSON）ではありません",
    "the body is empty": "本文が空です",
    "the body is not UTF-8 (offset {})": "本文が UTF-8 ではありません（{0} バイト目）",
    "the name `{}` stands twice in one object": "一つのオブジェクトに、同じ名前 `{0}` が二つあります",
    "the number is not one that every reader reads alike": "処理系によって読み方が変わる数値があります",
    "the text has half of a surrogate pair": "文字として読み取れない部分があります（サロゲートの片方だけ）",
    "the body did not arrive within {} seconds": "送信が {0} 秒以内に終わりませんでした",
    "the client has gone": "接続が途中で切れました",
    # pdp.console.front
    "that is no form": "フォームからの送信ではありません",
    "the form cannot be read": "フォームの内容を読み取れません",
    "the form did not arrive within {} seconds": "フォームの送信が {0} 秒以内に終わりませんでした",
    "the form is larger than {} bytes": "フォームの内容が大きすぎます（上限 {0} バイト）",
    # pdp.model.input
    'expected "none" or an RFC 3339 time - at `$.context.work_permit_until`': (
        "業務許可の期限は、`none` か時差付きの日時で指定してください（`$.context.work_permit_until`）"
    ),
    "a known group has a known segment - at `$.resource.segment`": (
        "システムの区分が分かっている場合は、領域の指定も必要です（`$.resource.segment`）"
    ),
    # what is not told in full
    "the question could not be written down, so it is not answered": (
        "この操作を監査証跡に記録できなかったため、回答しません"
    ),
    "the question could not be answered; the detail is in the service's own log": (
        "回答できませんでした。詳細はサービスのログにあります"
    ),
    "no decision was made; the detail is in the service's own log": (
        "処理できませんでした。詳細はサービスのログにあります"
    ),
    "not ready to decide": "まだ判定できる状態ではありません",
    "the database does not answer": "データベースが応答しません",
}

"""The decision log, its reports, kept searches, and the audit trail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DECISIONS: Final[Mapping[str, str]] = {
    # pdp.audit
    "the pseudonym stands for nobody in this time": "この期間に、その仮名に当たる人はいません",
    "the answer is too large": "回答が大きすぎます",
    "SQL is for `audit_read` only": "SQL は `audit_read` の権限でだけ使えます",
    "a proof carries the whole record: `audit_read` only": (
        "証明には記録の全体が含まれるため、`audit_read` の権限が必要です"
    ),
    "there is no decision of this id among those that you may see": "閲覧できる範囲に、その番号の判定はありません",
    "`by` is missing": "集計の単位が指定されていません",
    "there is no report of this name": "その名前の報告書はありません",
    "`reason` is missing": "理由が入力されていません",
    "`reason` says nothing": "理由に内容がありません",
    "one of `id` and `pseudonym` is needed": "判定番号か仮名のどちらか一方を指定してください",
    "that is no pseudonym": "仮名の形式ではありません",
    "`action` has a value that there is not": "操作の種類に、存在しない値が指定されています",
    "`outcome` has a value that there is not": "結果に、存在しない値が指定されています",
    "`since` must lie before `until`": "期間の始まりは、終わりより前にしてください",
    "a parameter is given more than once": "同じ指定が重複しています",
    "`{}` is not a whole number from {} to {}": "`{0}` は {1}～{2} の整数で指定してください",
    "`{}` has a value that there is not": "`{0}` に、存在しない値が指定されています",
    "the body is not what is taken here": "本文の形式が違います",
    "`{}` is not a text of {} to {} characters": "`{0}` は {1}～{2} 文字で指定してください",
    "the query string is not UTF-8, or has too many parameters": "指定が UTF-8 ではないか、多すぎます",
    "a decision's id says its time": "判定番号から日時が分かるため、期間の指定は不要です",
    "that is no id": "判定番号の形式ではありません",
    "with `audit_operate` nobody may ask by `{}`": "`audit_operate` の権限では `{0}` で検索できません",
    "with `audit_operate` `{}` is a pseudonym": "`audit_operate` の権限では、`{0}` に仮名を指定してください",
    "`{}` lies beyond all times": "`{0}` の日時が、扱える範囲を超えています",
    "the process that asked gave no answer": "検索の処理から回答がありませんでした",
    "this caller has {} questions under way, as many as it may": ("処理中の検索が上限（{0} 件）に達しています"),
    "{} questions are being answered already": "ほかの検索を処理しています（{0} 件）",
    "the process that asks did not start as it should": "検索の処理を始められませんでした",
    "no process can be started to ask: {}": "検索の処理を始められません: {0}",
    "the answer took too long": "検索に時間がかかりすぎました",
    "the process that asked has ended": "検索の処理が途中で終わりました",
    "no log that lies here holds this decision": "この判定は、ここにある判定ログにありません",
    "the body is not a question to keep": "保存できる検索ではありません",
    "`title` is longer than {} characters": "題名は {0} 文字以内にしてください",
    "there is no saved question of this name": "その名前の保存した検索はありません",
    "that is no name for a saved question": "保存する検索の名前として使えません",
    "the question is too long to be kept": "検索の条件が長すぎるため、保存できません",
    "`name` of the report is missing": "報告書の名前が指定されていません",
    "{} questions are kept already": "保存した検索が上限（{0} 件）に達しています",
    "there is no saved question of yours of this name": "あなたが保存した、その名前の検索はありません",
    "`owner` is given more than once": "`owner` が重複しています",
    "this caller lacks the permission `{}`": "`{0}` の権限がありません",
    "this caller lacks the permission `audit_read` or `audit_operate`": (
        "`audit_read` または `audit_operate` の権限がありません"
    ),
    # pdp.archive
    "`before` is not where a page ended": "ページの位置を読み取れません",
    "`by` takes 1 to {} different dimensions": "集計の単位は、異なるものを 1～{0} 個指定してください",
    "`{}` is given more than {} times": "`{0}` の指定が {1} 個を超えています",
    "`{}` is given more than once": "`{0}` が重複しています",
    "`{}` is not a text of 1 to {} characters": "`{0}` は 1～{1} 文字で指定してください",
    "there is no filter `{}`": "`{0}` という条件はありません",
    "`{}` is not UTF-8": "`{0}` が UTF-8 ではありません",
    "`{}` is not a time with an offset": "`{0}` が時差付きの日時ではありません",
    "`{}` is not one of the audit queries": "`{0}` という報告書はありません",
    "`{}` found more than {} rows": "`{0}` の結果が {1} 行を超えました",
    "`{}` has no parameter `{}`": "`{0}` に `{1}` という指定はありません",
    "`{}` counts whole hours: `since` and `until` must be such": (
        "`{0}` は 1 時間単位です。期間の始まりと終わりを正時にしてください"
    ),
    "`before_time`, `before_id`, `before_segment` and `before_seq` belong together": (
        "ページの位置は `before_time`、`before_id`、`before_segment`、`before_seq` をすべて指定してください"
    ),
    "the parameter `{}` is missing": "`{0}` の指定がありません",
    "the parameter `{}` is not a text of 1 to {} characters": "`{0}` は 1～{1} 文字で指定してください",
    "the parameter `{}` is not a whole number from {} to {}": "`{0}` は {1}～{2} の整数で指定してください",
    "the parameter `{}` is not a time with an offset, as `2026-04-01T00:00:00+09:00`": (
        "`{0}` は時差付きの日時で指定してください（例: 2026-04-01T00:00:00+09:00）"
    ),
    "the parameter `{}` lies beyond all times": "`{0}` の日時が、扱える範囲を超えています",
    "the parameter `{}` is not a decision id": "`{0}` が判定番号の形式ではありません",
    "a page has 1 to {} rows": "1 ページの行数は 1～{0} です",
    "a grouping has 1 to {} different dimensions of {}": (
        "集計の単位は、次のうち異なるものを 1～{0} 個指定してください: {1}"
    ),
    "an offset is at most {} minutes": "時差は {0} 分以内です",
    "a grouping has 1 to {} rows": "集計の行数は 1～{0} です",
    "an export has columns of the store, each once": "書出しの列は、記録にある列を一度ずつ指定してください",
    "`{}` took longer than {} s": "`{0}` が {1} 秒を超えました",
    "`{}` needs more memory than it may use": "`{0}` が、使えるメモリーの上限を超えました",
    "there is no decision log here": "判定ログがありません",
    "the store's manifest names `{}`, which is no segment": "保存済みの記録の目録に、記録ではない `{0}` があります",
    "the store's manifest has version {}; this program reads {}": (
        "保存済みの記録の目録の版は {0} ですが、このプログラムが読めるのは {1} です"
    ),
    "the store's manifest is being changed by another process": "保存済みの記録の目録を、別のプロセスが変更しています",
    "the store's manifest cannot be used: {}": "保存済みの記録の目録を使えません: {0}",
    "beside the store's manifest lies a journal that is not its own: `pdp audit verify`": (
        "保存済みの記録の目録に、別のものの変更記録が付いています。`pdp audit verify` で確かめてください"
    ),
    # pdp.trail
    "the trail cannot be read: {}": "監査証跡を読み取れません: {0}",
}

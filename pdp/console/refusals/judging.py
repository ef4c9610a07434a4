"""Trials of drafts, foresight, replays and exports: what their processes say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

JUDGING: Final[Mapping[str, str]] = {
    # drafts
    "there is nothing to be looked at": "調べる内容がありません",
    "too many drafts wait to be tried": "順番を待っている下書きが多すぎます",
    "other drafts are being tried": "ほかの下書きを試しているため、順番が来ませんでした",
    "others are asking already": "ほかの人の確認を処理しています",
    "it took longer than {} seconds, and was ended": "{0} 秒を超えたため、打ち切りました",
    "it takes more memory than there is for it": "使えるメモリーの上限を超えました",
    "its report is larger than {} bytes: look for names of great length": (
        "報告が {0} バイトを超えました。極端に長い名前がないか確かめてください"
    ),
    "a test fails on the draft as it is, or there is none: nothing would tell a mutant": (
        "通らないテストがあるか、テストがありません。このままでは変異を見分けられません"
    ),
    # foresight and requests that nobody made
    "this policy tells too many people, terminals and systems apart to judge all of them": (
        "このアクセス制御ポリシーは、利用者・端末・システムを細かく区別しすぎるため、全員分を判定できません"
    ),
    "more than {} inputs are different to this policy": (
        "このアクセス制御ポリシーにとって異なる入力が {0} 通りを超えます"
    ),
    "this is asked of a revision": "版を指定してください",
    "the day is over: what is past was decided, and can be replayed": (
        "過去の日時です。過ぎた日の判定は、記録した判定の再判定で確かめられます"
    ),
    "this policy is of record already: nothing would change": "適用中の版と同じ内容のため、何も変わりません",
    "the policy is of profile `plain`: it has no facts": (
        "プロファイル `plain` のアクセス制御ポリシーには、判定の項目がありません"
    ),
    "there is no such person": "その利用者は台帳にいません",
    "there is no such device": "その端末は台帳にありません",
    "there is no such example": "その例はありません",
    # bundles, as the process of a job or of a trial tells them
    "there is no .rego file": "`.rego` のファイルがありません",
    "the file is missing": "ファイルがありません",
    "must be a JSON object": "JSON のオブジェクトにしてください",
    "must be an object of keys": "名前と値の組にしてください",
    "not JSON: {}": "JSON として読み取れません: {0}",
    "not UTF-8 at byte {}": "{0} バイト目が UTF-8 ではありません",
    "larger than {} bytes": "{0} バイトを超えています",
    "the key `{}{}` must be a text": "キー `{0}{1}` は文字列にしてください",
    "`{}{}` is set by another file too": "`{0}{1}` が別のファイルでも設定されています",
    "`metadata.profile` must be zta or plain, not `{}`": (
        "`metadata.profile` は zta か plain です（`{0}` は使えません）"
    ),
    "`metadata.entrypoint` must be a path such as `pdp/decision`": (
        "`metadata.entrypoint` は `pdp/decision` のようなパスにしてください"
    ),
    "`revision` must be a text that names this version": "`revision` は、この版の名前を表す文字列にしてください",
    "`metadata.{}` must be 1 to {}": "`metadata.{0}` は 1～{1} にしてください",
    # what is read for them
    "the decision log changes faster than it can be read": "判定ログが読取りより速く変わっています",
    "the decision log cannot be read: {}": "判定ログを読み取れません: {0}",
    "no directory has been read yet": "台帳をまだ読み込んでいません",
    # insight
    "the record is not in a form that can be judged": "この記録は、再判定できる形式ではありません",
    "there is no such parameter": "指定できない項目があります",
    "`{}` is given twice, or has more than {} characters": "`{0}` が重複しているか、{1} 文字を超えています",
    "`size` is not a whole number from 1 to {}": "`size` は 1～{0} の整数で指定してください",
    "the record does not say which policy decided": "どの版で判定したかが記録に残っていません",
    "the document of this decision cannot be read any more": "この判定の入力は、もう読み取れません",
    "another decision is being recomputed": "ほかの判定を再現しています",
    "it took too long": "時間がかかりすぎました",
    "the engine failed: `{}`": "判定エンジンが失敗しました: `{0}`",
    "there is nobody of this id among those that you may see": "閲覧できる範囲に、その識別子の利用者はいません",
    "there is no device of this id among those that you may see": "閲覧できる範囲に、その識別子の端末はありません",
}

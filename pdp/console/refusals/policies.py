"""Revisions, approvals, activations, exceptions, results and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

POLICIES: Final[Mapping[str, str]] = {
    # steps
    "another revision is being checked": "ほかの版を検査しています",
    "this revision is being checked already": "この版は、すでに検査しています",
    "a revision that is {} does not take the step `{}`": "「{0:word}」の版では「{1:word}」の操作はできません",
    "this needs the role {}": "この操作には次の役割が必要です: {0:word}",
    "the contents of the revision are others by now": "ほかの人が保存したため、版の内容が変わっています",
    "nobody approves what they wrote themselves, under whatever name": (
        "自分が作成に関わった版は、自分では承認できません"
    ),
    "this person has approved it already": "この版は、すでにあなたが承認しています",
    "only a policy of profile `zta` can warn before it refuses": (
        "警告期間を設けられるのは、プロファイル `zta` のアクセス制御ポリシーだけです"
    ),
    "nothing was ever activated, so there is nothing that a time of warning could let go on": (
        "まだ適用された版がないため、警告期間は設けられません（続けて許可する直前の版がありません）"
    ),
    "it has not been shown that this revision loads": "この版が読み込めることを、まだ確認していません",
    "a reason has {} to {} characters, in words": "理由は {0}～{1} 文字の文章で入力してください",
    "there is no revision {}": "版{0}はありません",
    # activation
    "the next epoch is {}, and {} is asked for": "次の適用番号は {0} ですが、{1} が指定されています",
    "nobody wrote this revision: its history is not there": "この版の改定履歴がなく、作成者を確かめられません",
    "the time lies before now, or more than {} days ahead": (
        "日時が過去か、先すぎます（{0} 日以内の日時を指定してください）"
    ),
    "the approvals of this revision do not count: it was changed since, they are its authors', or no key that counts "
    "here sealed them": (
        "この版の承認は有効ではありません（承認の後に内容が変わったか、作成者による承認か、"
        "有効な鍵で封をされていません）"
    ),
    "no activation of this revision that can be trusted names these contents": (
        "この内容で適用されたことを示す、信頼できる記録がありません"
    ),
    "nothing was ever activated as epoch {}": "適用番号 {0} で適用された版はありません",
    "nothing was ever activated": "まだ適用された版がありません",
    "it cannot be activated with a time of warning: {}": "警告期間付きでは適用できません。{0:said}",
    "its time of warning is longer than the settings allow by now": "警告期間が、現在の設定の上限より長くなっています",
    "the revision of record is the same policy": "適用中の版と同じ内容です",
    "a time of warning is running": "別の警告期間が続いています",
    "it sees other facts than the one before": "直前の版と、判定に使う情報（システム、暦、ネットワーク）が異なります",
    "a time of warning lasts at most {} days here": "警告期間は最長 {0} 日です",
    "the file that says which policy was active here last cannot be read: {}": (
        "最後に適用した版を示すファイルを読み取れません: {0}"
    ),
    "which policy is active cannot be kept on disk: {}": "適用した版をディスクに書き込めません: {0}",
    "another process has been writing which policy is active for 5 s": (
        "別のプロセスが、適用した版を 5 秒以上書き込み続けています"
    ),
    "the signed statement speaks of another revision, or of another step": (
        "署名された適用書は、別の版か別の操作のものです"
    ),
    "the signed statement warns for longer than was approved": (
        "署名された適用書の警告期間が、承認されたものより長くなっています"
    ),
    "the signed statement is for epoch {}, and the next one is {}": (
        "署名された適用書の適用番号は {0} ですが、次の番号は {1} です"
    ),
    "epoch {} lies more than {} above the highest that is known, {}": (
        "適用番号 {0} が、既知の最大の番号 {2} から {1} より多く離れています"
    ),
    "no statement can be made of this: {}": "この内容では適用書を作れません: {0}",
    "the statement of what is of record names no time": "適用書に日時がありません",
    "the statement of what is of record is not in its canonical form": "適用書が決められた形式ではありません",
    "not a statement of what is of record: {}": "適用書として読み取れません: {0}",
    "not a list of signatures: {}": "署名の一覧として読み取れません: {0}",
    "more than {} signatures": "署名が多すぎます（上限 {0} 個）",
    "the statement's time of warning ends at no time": "適用書の警告期間の終わりが日時ではありません",
    # contents
    "more than {} files": "ファイルが多すぎます（上限 {0} 個）",
    "`{}` is no path of a file below a directory": "`{0}` はファイルのパスとして使えません",
    "`{}` is hidden, and is not kept": "`{0}` は隠しファイルのため、保存できません",
    "`{}` is none of the files that a revision keeps": "`{0}` は、版に保存できる種類のファイルではありません",
    "`revision` in {} is a name of at most {} characters": "{0} の `revision` は {1} 文字以内の名前です",
    "the directory is not empty": "フォルダーが空ではありません",
    "the file `{}` is not a text": "ファイル `{0}` が文字列ではありません",
    "the file `{}` holds a NUL": "ファイル `{0}` に、使えない文字（NUL）があります",
    "the file `{}` is not UTF-8": "ファイル `{0}` が UTF-8 ではありません",
    "the file `{}` has {} bytes, and one has at most {}": (
        "ファイル `{0}` は {1} バイトで、上限（{2} バイト）を超えています"
    ),
    "the files have more than {} bytes together": "ファイルの合計が上限（{0} バイト）を超えています",
    "the files make no bundle: {}": "アクセス制御ポリシーとして読み取れません: {0}",
    "there is no file `{}` to be taken away": "削除するファイル `{0}` がありません",
    # exceptions and reviews
    "it would end before it begins, or before now": "終わりの日時が、始まりか現在より前になっています",
    "an exception of this kind lasts at most {} days": "この種類の例外措置は最長 {0} 日です",
    "more than {} names": "対象が多すぎます（上限 {0} 件）",
    "the id `{}` {}": "識別子 `{0}` は使えません（{1}）",
    "a disaster is declared for everybody, and names nobody": (
        "災害時運用は全員が対象です。利用者・端末・システムは指定しないでください"
    ),
    "a work permit names its people, its terminals and its systems": (
        "業務許可では、利用者・端末・システムをすべて指定してください"
    ),
    "a device permit names one person and one device, and no system": (
        "端末の許可では、利用者と端末を一つずつ指定し、システムは指定しないでください"
    ),
    "the directory has one with the same beginning": "始まりの日時が同じものが、すでに台帳にあります",
    "there is no exception {}": "例外措置 {0} はありません",
    "this exception is {}": "この例外措置は「{0:word}」です",
    "nobody grants what they asked for themselves, under whatever name": (
        "自分が申請した例外措置は、自分では承認できません"
    ),
    "its time is over": "期間が過ぎています",
    "only who asked for it takes it back; an approver may refuse it": (
        "取下げができるのは申請した本人だけです。承認者は却下できます"
    ),
    "the directory knows no {} `{}`": "台帳に{0:word} `{1}` はありません",
    "there is no review {}": "事後確認 {0} はありません",
    "this review is closed": "この事後確認は完了しています",
    "whoever took part in an emergency does not review it": "緊急時の操作に関わった人は、その事後確認を行えません",
    # results and jobs
    "the result is larger than {} bytes": "結果が大きすぎます（上限 {0} バイト）",
    "no result of this kind is kept": "この種類の結果は保存していません",
    "there is no result {}": "結果 {0} はありません",
    "this result has no files": "この結果にファイルはありません",
    "there is no such job": "その処理はありません",
    "{} such jobs are waiting already": "待っている処理が、すでに {0} 件あります",
    "{} jobs of this person are under way already": "あなたの処理が、すでに {0} 件あります",
    "it is over already": "すでに終わっています",
    "the process for it cannot be started: {}": "処理を始められません: {0}",
    "it gave no result within {} seconds": "{0} 秒以内に結果が出ませんでした",
    "the result is too large to be kept": "結果が大きすぎるため、保存できません",
    "the process for it ended without a result": "結果を出さずに処理が終わりました",
    "the process for it answered nonsense": "処理の結果を読み取れません",
    "it could not be done; the cause is in the service's log": "処理できませんでした。原因はサービスのログにあります",
    "it failed; the cause is in the service's log": "処理できませんでした。原因はサービスのログにあります",
    "it takes more memory than it may": "使えるメモリーの上限を超えました",
}

"""What to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

STEPS: Final[Mapping[str, str]] = {
    # of whole kinds of errors (pdp.errors)
    "tell the operator the decision id or the request id": (
        "判定番号または要求の番号を、システムの担当者に伝えてください"
    ),
    "correct the request and send it again": "内容を直して、もう一度送信してください",
    "send a smaller request, or split the batch": "内容を小さくするか、分けて送信してください",
    "send `Content-Type: application/json`": "`Content-Type: application/json` を付けて送信してください",
    "check the name or the id": "名前か識別子を確かめてください",
    "look at how things stand now, and decide anew": "現在の状態を確かめて、やり直してください",
    "send the request again, all of it at once": "もう一度、続けて送信してください",
    "send the enforcement point's API key as `Authorization: Bearer KEY`, or see docs/callers.md": (
        "API キーを `Authorization: Bearer KEY` として送信してください（docs/callers.md）"
    ),
    "ask the operator to grant this caller the permission": "必要な権限を、管理者に依頼してください",
    "wait as long as `Retry-After` says; `pdp caller limits` shows and changes the limit": (
        "しばらく待ってから、やり直してください（上限の確認と変更は `pdp caller limits`）"
    ),
    "try again; `/readyz` and `pdp doctor` say what is missing": (
        "もう一度お試しください。不足しているものは「稼働状況」か `pdp doctor` で分かります"
    ),
    "try again; the decision log cannot be written, see `pdp doctor`": (
        "もう一度お試しください。判定ログに書き込めません（`pdp doctor` で確認）"
    ),
    "nothing is lost: it is tried again; `pdp audit publish --status` says since when it fails": (
        "失われたものはなく、再送されます。いつからかは `pdp audit publish --status` で分かります"
    ),
    "keep the file as it is; `pdp audit verify` says which lines are damaged": (
        "ファイルをそのまま残してください。破損した行は `pdp audit verify` で分かります"
    ),
    "correct the bundle and check it again with `pdp bundle check`": (
        "内容を直して、もう一度検査してください（`pdp bundle check`）"
    ),
    "see docs/decision-space.md for what a rule may do; the policy itself is not affected": (
        "ルールに書ける範囲は docs/decision-space.md にあります。アクセス制御ポリシー自体に影響はありません"
    ),
    "see docs/export.md; nothing was written or changed": (
        "docs/export.md をご覧ください。何も書き込まず、変更していません"
    ),
    "look up the decision id in the decision log; the deny stands": (
        "判定番号を判定ログで確かめてください。拒否のままです"
    ),
    "correct the rows that are named and import the file again": "示した行を直して、もう一度取り込んでください",
    "`pdp directory status` says since when; see the source's own status and our log": (
        "いつからかは `pdp directory status` で分かります。外部のサービスの稼働状況と、こちらのログも確かめてください"
    ),
    "correct the scenario file; its format is in docs/scenarios.md": (
        "シナリオのファイルを直してください（書き方は docs/scenarios.md）"
    ),
    "correct `pdp.toml` or the `PDP_*` environment variables": "`pdp.toml` か環境変数 `PDP_*` を直してください",
    "give each process its own worker name, or end the other one": (
        "プロセスごとに別のワーカー名を付けるか、もう一方を終了してください"
    ),
    "see `pdp directory status`": "`pdp directory status` で確かめてください",
    # how to ask
    "ask for one of the permissions policy_…": "管理者に、ポリシーに関する権限（policy_…）を依頼してください",
    "send `base`, `files`, or both": "`base` か `files`、または両方を指定してください",
    "give it once": "一度だけ指定してください",
    "encode it, and ask in parts": "正しく符号化し、分けて検索してください",
    "ask in parts": "分けて検索してください",
    "send it as UTF-8": "UTF-8 で送信してください",
    "leave it out, or give a value": "指定しないか、値を入れてください",
    "say from when to when: `since` and `until`": "期間の始まりと終わりを指定してください",
    "write it as `2026-04-01T00:00:00+09:00`; in a URL the `+` is `%2B`": (
        "`2026-04-01T00:00:00+09:00` のように書いてください（URL の中では `+` を `%2B` とします）"
    ),
    "take it from the page before, unchanged": "前のページから、そのまま使ってください",
    "take `time`, `id`, `segment` and `seq` of the last row of the page before": (
        "前のページの最後の行の `time`、`id`、`segment`、`seq` を使ってください"
    ),
    "export where you need more": "これより多い場合は、書出しを使ってください",
    "as `hour,reason`": "`hour,reason` のように指定してください",
    "use {}": "使えるのは次のものです: {0}",
    "use one of {}": "次のいずれかを指定してください: {0}",
    "send an object of {}": "次の項目のオブジェクトを送信してください: {0}",
    "name what to group by, as `by=hour,reason`": "`by=hour,reason` のように、集計の単位を指定してください",
    "`/audit/v1/reports` names them": "報告書の一覧から選んでください",
    "say why, in 5 to 500 characters": "理由を 5～500 文字で入力してください",
    "name a decision, or a pseudonym": "判定番号か仮名を指定してください",
    "take it from an answer, unchanged": "検索の結果から、そのまま使ってください",
    "take it from the trail": "監査証跡にある値から選んでください",
    "begun, done, refused or failed": "開始、完了、拒否、失敗のいずれかです",
    "give the earlier time as `since`": "早いほうの日時を始まりにしてください",
    "leave out `since` and `until`": "期間の指定を外してください",
    "take it from an answer, or from the page that denied": "検索の結果か、拒否の画面にある番号を使ってください",
    "name a time that people use": "ふつうに使う範囲の日時を指定してください",
    "check the id; `everywhere=true` also looks where a clock was set": (
        "番号を確かめてください。時計が変更された期間も探すには `everywhere=true` を指定します"
    ),
    "check the id, or try `everywhere=true`": "番号を確かめるか、`everywhere=true` を指定してください",
    "ask for the time it was seen in": "その仮名を見た期間を指定してください",
    "ask for less, or take an export": "範囲を狭めるか、書出しを使ってください",
    "ask for a shorter time": "期間を短くしてください",
    "ask again in a few seconds": "数秒待って、やり直してください",
    "see `/openapi.json` for what there is": "指定できる項目は `/openapi.json` にあります",
    "send `kind` (one of {}), `parameters`, and perhaps `title` and `shared`": (
        "`kind`（{0} のいずれか）と `parameters` を指定してください（`title` と `shared` は任意）"
    ),
    "`/audit/v1/queries` lists them": "保存した検索の一覧から選んでください",
    "use small letters, digits and . _ - only, at most 64, beginning with a letter or digit": (
        "英小文字、数字、. _ - だけを使い、英小文字か数字で始まる 64 文字以内にしてください"
    ),
    "delete one of them": "不要なものを削除してください",
    "`pdp audit columns` lists them": "列の一覧は `pdp audit columns` で分かります",
    "name its place with `--state-dir`": "場所を `--state-dir` で指定してください",
    "run `pdp audit verify`": "`pdp audit verify` で確かめてください",
    "take an example, or a document": "例か文書を使ってください",
    "look them up in the directory": "台帳で確かめてください",
    "look it up in the directory": "台帳で確かめてください",
    "check the id; whoever is bound to departments sees those of them only": (
        "識別子を確かめてください。担当の所属が限られている場合は、その所属の分だけを閲覧できます"
    ),
    "`pdp replay --id` takes the time that it needs": "`pdp replay --id` なら、時間の制限なく再現できます",
    # of policies
    "try again in a moment": "少し待って、やり直してください",
    "check it: every fault has its place": "「今すぐ検査」で、誤りの箇所を確かめてください",
    "look for what does not end, or grows too large": "終わらない処理や、大きくなりすぎるものがないか確かめてください",
    "ask somebody who has the role": "その役割を持つ人に依頼してください",
    "look at them, and try again": "内容を確かめて、やり直してください",
    "ask another approver": "別の承認者に依頼してください",
    "a further person is needed": "もう一人の承認が必要です",
    "check it first, also in an emergency": "緊急時でも、先に検査を行ってください",
    "`pdp bundle history` names them": "版の一覧から選んでください",
    "make a new draft of it": "その版から新しい下書きを作ってください",
    "make a new draft of it, and have that approved": "その版から新しい下書きを作り、承認を受けてください",
    "withdraw it, submit it again, and have it approved": "取り下げてから、もう一度承認を依頼してください",
    "activate a revision": "先に、いずれかの版を適用してください",
    "ask for it again, with another end": "終わりの日時を変えて、もう一度申請してください",
    "ask for another one": "新しく申請してください",
    "choose another beginning": "始まりの日時を変えてください",
    "ask for fewer days": "日数を減らしてください",
    "ask for fewer contexts": "利用の状況を減らしてください",
    "ask for less at once": "一度に調べる範囲を狭めてください",
    "take it back and submit it without a time of warning, or activate new facts as a revision of their own": (
        "取り下げて、警告期間なしで承認を依頼するか、判定に使う情報の変更だけを先に別の版として適用してください"
    ),
    "submit it without a time of warning; the revision after it may have one": (
        "警告期間なし（0 日）で承認を依頼してください。次の版からは警告期間を設けられます"
    ),
    "sign again, for the epoch that is next now": "次の適用番号で、署名し直してください",
    "name one above the epoch that workers have seen": "稼働中のワーカーが知る番号の、次の番号を指定してください",
    "put a copy in its place; without it an old revision could be replayed to this host": (
        "控えを元の場所に戻してください。これがないと、古い版を適用させられるおそれがあります"
    ),
    "send .manifest, capabilities.json, *.rego, data/*.yaml, scenarios/*.yaml and notes (*.md)": (
        "保存できるのは .manifest、capabilities.json、*.rego、data/*.yaml、scenarios/*.yaml、覚え書き（*.md）です"
    ),
    "name one that is not there yet": "まだない名前を指定してください",
    "older ones make room for newer ones": "古いものは、新しいものが入ると削除されます",
    "wait for one to end, or cancel it": "終わるのを待つか、中止してください",
    "it may have taken more memory than it may": "使えるメモリーの上限を超えた可能性があります",
    "let its tests pass first": "先に、テストがすべて通るようにしてください",
    "name a later day, or a draft": "先の日時か、下書きを指定してください",
    "ask it with `pdp eval`": "`pdp eval` で確かめてください",
    "let rules read single facts, not whole objects; `pdp bundle inspect` shows where": (
        "ルールがオブジェクト全体ではなく個々の項目を読むようにしてください（箇所は `pdp bundle inspect` で分かります）"
    ),
    "check it (`pdp bundle submit` does so first), or edit it": "先に検査を行うか、編集してください",
    "submit it for review, or edit it": "承認を依頼するか、編集してください",
    "a second person approves or rejects it; its author may withdraw it": (
        "別の人が承認または差戻しを行います。作成者は取下げができます"
    ),
    "activate it, or schedule it": "適用するか、適用日時を予約してください",
    "wait for its time, activate it now, or take it off the schedule": (
        "予約の日時を待つか、今すぐ適用するか、予約を取り消してください"
    ),
    "nothing: it decides now; activate another revision, or roll back to an earlier one": (
        "適用中のため、必要な操作はありません。別の版を適用するか、以前の版へ切り戻せます"
    ),
    "roll back to it, or make a new draft of it": "この版へ切り戻すか、この版から新しい下書きを作ってください",
    # of logins and forms
    "load the page anew": "画面を開き直してください",
    "load the page anew, and send it again": "画面を開き直して、もう一度送信してください",
    "use a browser of today": "最新のブラウザーを使ってください",
    "open the page here, and send it again": "この管理画面を開いて、もう一度送信してください",
    "begin the login again": "もう一度ログインしてください",
    "ask whoever runs it": "統合認証の担当者に問い合わせてください",
    "ask whoever runs the identity provider": "統合認証の担当者に問い合わせてください",
    "see `console.issuer`": "設定 `console.issuer` を確かめてください",
    "try again in a minute": "1 分ほど待って、やり直してください",
    "try again, or use a local account": "やり直すか、緊急用アカウントを使ってください",
}

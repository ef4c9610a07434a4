# ruff: noqa: S608  # the texts are put together from pieces that stand in this package; values are bound
"""The ten audit queries, in the words of japan.md, section 5."""

from __future__ import annotations

from typing import Final

from pdp.archive.query import BRIEF, EACH_REASON, TIMES, WHEN, Query
from pdp.model.decision import Text

_PERMITTED: Final = "outcome IN ('allow', 'limit')"

REPORTS: Final = (
    Query(
        "report_01_denials",
        Text("期間・所属別の拒否の判定理由別件数", "Denials in a period by department and reason"),
        {**TIMES, "department": "optional_text"},
        "SELECT department, reason, sum(decisions)::BIGINT AS denials"
        f" FROM (SELECT department, {EACH_REASON} AS reason, decisions FROM hourly"
        " WHERE outcome = 'deny' AND hour >= $since AND hour < $until"
        " AND ($department::VARCHAR IS NULL OR department = $department))"
        " GROUP BY ALL ORDER BY denials DESC, 1, 2",
        views=("hourly",),
    ),
    Query(
        "report_02_exceptions",
        Text(
            "例外措置・災害時運用で許可された全件", "Everything permitted in emergency mode or to an emergency account"
        ),
        TIMES,
        f"SELECT {BRIEF}, context_disaster_mode = 'true' AS emergency_mode, subject_kind, resource_group"
        " FROM decisions"
        f" WHERE {WHEN} AND {_PERMITTED} AND (context_disaster_mode = 'true' OR subject_kind = 'emergency_account'"
        " OR resource_group = 'disaster') ORDER BY \"time\", id",
        note=Text("承認者・期限・理由は台帳にある", "approver, end and reason stand in the registers"),
    ),
    Query(
        "report_03_leavers",
        Text(
            "退職者・任用期間満了者・休職者のIDによる要求",
            "Requests under ids of people who left, are suspended or not yet in post",
        ),
        TIMES,
        f"SELECT {BRIEF}, subject_employment AS employment FROM decisions WHERE {WHEN}"
        " AND subject_employment IN ('ended', 'suspended', 'not_started') ORDER BY \"time\", id",
    ),
    Query(
        "report_04_remote_maintenance",
        Text("リモート保守: 作業許可と実際の接続", "Remote maintenance: work permits and actual connections"),
        TIMES,
        "SELECT person, device, resource, context_work_permit AS work_permit,"
        " context_work_permit_until AS permit_until,"
        ' outcome, min("time") AS first, max("time") AS last, count(*) AS decisions,'
        " context_work_permit <> 'valid' AS outside_permit"
        f" FROM decisions WHERE {WHEN} AND (subject_kind = 'contractor' OR device_class = 'maintenance_pc')"
        " GROUP BY ALL ORDER BY outside_permit DESC, first, person, resource, outcome",
        note=Text("申請番号は作業許可の台帳にある", "the application number stands in the register of work permits"),
    ),
    Query(
        "report_05_private_devices",
        Text("個人所有端末: 許可の状態と実利用", "Private devices: their permits and their use"),
        TIMES,
        "SELECT person, device, device_class, device_permit AS permit, resource_group, outcome, count(*) AS decisions,"
        ' min("time") AS first, max("time") AS last,'
        " device_permit = 'expired' AS expired, resource_group <> 'communication' AS beyond_communication"
        f" FROM decisions WHERE {WHEN} AND device_ownership = 'private'"
        " GROUP BY ALL ORDER BY decisions DESC, person, device, resource_group, outcome",
    ),
    Query(
        "report_06_unknown_posture",
        Text("未確認（端末の状態なし）のまま許可した件数", "Permitted although the device's state was not known"),
        TIMES,
        "SELECT device_class, resource_group, outcome, count(*) AS decisions, count(DISTINCT device) AS devices"
        f" FROM decisions WHERE {WHEN} AND {_PERMITTED} AND input_form = 'columns' AND posture_age_hours IS NULL"
        " GROUP BY ALL ORDER BY decisions DESC, 1, 2, 3",
    ),
    Query(
        "report_07_revisions",
        Text("判定に使われたアクセス制御ポリシーの版と期間", "Policy revisions that decided, and when"),
        TIMES,
        'SELECT policy_revision AS revision, bundle_digest, min("time") AS first, max("time") AS last,'
        f" count(*) AS decisions FROM decisions WHERE {WHEN} AND kind = 'decision' GROUP BY ALL ORDER BY first, 1, 2",
        note=Text(
            "作成者・承認者は改定履歴に、再現は `pdp replay` で",
            "author and approver stand in the revision history; `pdp replay` recomputes",
        ),
    ),
    Query(
        "report_08_person_day",
        Text(
            "一利用者の一日の経過（端末・場所・アプリ・判定）", "One person's day: device, place, application, decision"
        ),
        {**TIMES, "person": "text"},
        'SELECT "time", device, device_class, context_zone AS zone, context_underlay AS underlay, source_ip, resource,'
        " action, outcome, reasons, id FROM decisions"
        f' WHERE {WHEN} AND person = $person ORDER BY "time", id',
        by_person=True,
    ),
    Query(
        "report_09_privileged",
        Text("特権IDの使用と時間外使用", "Use of privileged ids, and out of hours"),
        TIMES,
        f"SELECT {BRIEF}, resource_group, context_business_hours <> 'true' OR context_business_day <> 'true'"
        f" AS out_of_hours FROM decisions WHERE {WHEN} AND (resource_group IN ('server_admin', 'account_admin')"
        " OR action_name = 'administer' OR subject_kind = 'emergency_account') ORDER BY \"time\", id",
    ),
    Query(
        "report_10_completeness",
        Text("ログの欠落・保存の状況", "Gaps in the log, and what is kept"),
        {},
        "WITH ordered AS (SELECT *, lag(number) OVER w AS before_number FROM segments"
        " WINDOW w AS (PARTITION BY node, worker, epoch ORDER BY number))"
        " SELECT node, worker, count(*) AS segments, coalesce(sum(records), 0)::BIGINT AS records,"
        " count(*) FILTER (state = 'stored') AS stored, count(*) FILTER (state = 'fresh') AS fresh,"
        " count(*) FILTER (state = 'removed') AS removed,"
        " count(*) FILTER (number > coalesce(before_number, 0) + 1) AS missing_segments,"
        " count(*) FILTER (whole = false) AS damaged_segments, min(created) AS first, max(created) AS last"
        " FROM ordered GROUP BY ALL ORDER BY node, worker",
        views=("segments",),
        note=Text(
            "改ざんの検査と、書込みの失敗で次のセグメントへ書き直した記録の件数は `pdp audit verify` で",
            "`pdp audit verify` looks for changes, and tells of records that a failed write had written anew",
        ),
    ),
)

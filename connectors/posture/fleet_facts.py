"""What a host of Fleet (osquery) says, as facts. Pure.

Source: the Fleet REST API, "List hosts" with `populate_policies` (fleetdm.com/docs/rest-api/rest-api#list-hosts).

Fact by fact, and what Fleet cannot give:

- `disk_encrypted`: `disk_encryption_enabled`, which is null on systems where Fleet does not find out.
- every other fact of three values: the answers of policies that the administrator maps to facts. "pass" is good,
  "fail" is bad, "" has not run yet. A policy that is not mapped says nothing, `failing_policies_count` neither.
- `edr_risk`: no table of osquery knows it.
- `patch_age_days`: the administrator's table of versions.
- The report is as old as `detail_updated_at`; `seen_time` says only that the agent was there. Policies run on a clock
  of their own (`policy_updated_at`): good answers that are much older than the report are known no more.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from connectors.port import DeviceReport
from connectors.posture.reading import (
    Options,
    RecordRefusedError,
    as_old_as,
    boolean,
    instant,
    named,
    platform,
    release_age,
    with_checks,
    worded,
)
from pdp.model.directory import PostureReport

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from connectors.posture.reading import CheckedFact
    from pdp.model.input import Known

RESPONSES: Final[Mapping[str, Known]] = {"pass": True, "fail": False}
POLICY_LAG: Final = timedelta(hours=24)  # policies run each hour; a day is how old posture may be (policy's default)


def device_report(record: Mapping[str, Any], options: Options, policies: Mapping[str, CheckedFact]) -> DeviceReport:
    """One host. `policies`: a policy's id (as digits) or name to its fact. Raises RecordRefusedError without an id."""
    identifier = record_key(record)
    if identifier is None:
        raise RecordRefusedError("no_id")
    observed_at = instant(record.get("detail_updated_at"))
    report = PostureReport(
        disk_encrypted=boolean(record.get("disk_encryption_enabled")),
        patch_age_days=release_age(record.get("os_version"), options, observed_at),
        observed_at=observed_at,
        source=options.source,
    )
    names = named(
        (
            ("serial", record.get("hardware_serial")),
            ("udid", record.get("uuid")),
            ("vendor_id", identifier),
            ("host_name", record.get("hostname")),
        ),
        options,
    )
    report = with_checks(report, _checks(record, policies, observed_at))
    return DeviceReport(names=names, posture=report, platform=platform(record.get("platform")))


def record_key(record: Mapping[str, Any]) -> str | None:
    identifier = record.get("id")
    return str(identifier) if isinstance(identifier, int) and not isinstance(identifier, bool) else None


def _checks(
    record: Mapping[str, Any], policies: Mapping[str, CheckedFact], observed_at: datetime | None
) -> list[tuple[CheckedFact, Known]]:
    answers = record.get("policies")
    ran_at = instant(record.get("policy_updated_at"))
    found: list[tuple[CheckedFact, Known]] = []
    for answer in answers if isinstance(answers, list) else []:
        fact = _fact_of(answer, policies)
        if fact is not None:
            passed = worded(answer.get("response"), RESPONSES)
            found.append((fact, as_old_as(passed, ran_at, observed_at, lag=POLICY_LAG)))
    return found


def _fact_of(answer: object, policies: Mapping[str, CheckedFact]) -> CheckedFact | None:
    """By id first: a name can be given to another policy, an id cannot."""
    if not isinstance(answer, dict):
        return None
    identifier = record_key(answer)
    if identifier is not None and identifier in policies:
        return policies[identifier]
    name = answer.get("name")
    return policies.get(name) if isinstance(name, str) and not name.isdigit() else None

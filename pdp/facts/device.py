"""From what: the register's word on the terminal, its relation to this person, and its posture."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pdp.model.directory import NOTHING_REPORTED
from pdp.model.input import UNKNOWN_POSTURE, Device, Posture

if TYPE_CHECKING:
    from pdp.facts.horizon import Horizon
    from pdp.model import directory
    from pdp.model.directory import Loan, Permit, PostureReport, Snapshot
    from pdp.model.input import CountOrUnknown, Known, LoanState, Ownership, PermitState, Relation

_HOUR: Final = timedelta(hours=1)
CLOCK_SKEW: Final = timedelta(minutes=5)  # a report from further in the future has no age that we know
NO_DEVICE: Final = "unknown"  # the id where the enforcement point named no device


def device_facts(
    device_id: str | None, certificate_sha256: str | None, subject_id: str, snapshot: Snapshot, horizon: Horizon
) -> Device:
    """`input.device` at `horizon.now`.

    A device is found by its id, or by the client certificate that the gateway saw. Where the gateway saw
    a certificate that is not the enrolled one of the named device, `posture.certificate` is false,
    whatever the management tool says: the terminal that speaks is not the terminal that is named.
    """
    found_by_certificate = snapshot.devices_by_certificate.get(certificate_sha256 or "")
    named = device_id or found_by_certificate
    device = None if named is None else snapshot.devices.get(named)
    if device is None:
        return _unregistered(named or NO_DEVICE)
    return Device(
        id=device.id,
        class_=device.class_,
        ownership=_ownership(device),
        registered=True,
        shared=device.shared,
        relation=_relation(device, subject_id),
        loan=_loan(snapshot.loans.get(device.id, ()), subject_id, horizon),
        permit=_permit(snapshot.permits.get(device.id, ()), subject_id, horizon),
        takeout=device.takeout,
        state=device.state,
        returned_from_outside=device.returned_from_outside,
        posture=_posture(device.posture, _certificate(device, certificate_sha256), horizon),
    )


def _unregistered(device_id: str) -> Device:
    return Device(
        id=device_id,
        class_="unknown",
        ownership="unknown",
        registered=False,
        shared=False,
        relation="none",
        loan="none",
        permit="none",
        takeout="unknown",
        state="in_service",
        returned_from_outside=False,
        posture=UNKNOWN_POSTURE,
    )


def _ownership(device: directory.Device) -> Ownership:
    if device.class_ == "unknown":
        return "unknown"
    return "private" if device.class_.startswith("byod_") else "organisation"


def _relation(device: directory.Device, subject_id: str) -> Relation:
    if device.owner is not None:
        return "own" if device.owner == subject_id else "assigned_to_other"
    return "pool" if device.department is not None else "none"


def _loan(loans: tuple[Loan, ...], subject_id: str, horizon: Horizon) -> LoanState:
    current = [loan for loan in loans if horizon.of("device.loan", loan.period)]
    if any(loan.user == subject_id for loan in current):
        return "valid"
    if current:
        return "mismatch"
    past = any(loan.user == subject_id and loan.period.is_over(horizon.now) for loan in loans)
    return "expired" if past else "none"


def _permit(permits: tuple[Permit, ...], subject_id: str, horizon: Horizon) -> PermitState:
    """Of several permits that are current, one that is held counts: somebody stopped this use on purpose."""
    own = [permit for permit in permits if permit.user == subject_id]
    current = [permit for permit in own if horizon.of("device.permit", permit.period)]
    if current:
        return "held" if any(permit.held for permit in current) else "valid"
    return "expired" if any(permit.period.is_over(horizon.now) for permit in own) else "none"


def _certificate(device: directory.Device, seen: str | None) -> Known:
    """What the gateway saw itself goes before what a tool reported; it never mends a reported fault."""
    if seen is None:
        return device.posture.certificate
    if seen != device.certificate_sha256:
        return False
    return True if device.posture.certificate == "unknown" else device.posture.certificate


def _posture(report: PostureReport, certificate: Known, horizon: Horizon) -> Posture:
    if report is NOTHING_REPORTED and certificate == "unknown":
        return UNKNOWN_POSTURE
    return Posture(
        certificate=certificate,
        disk_encrypted=report.disk_encrypted,
        edr_running=report.edr_running,
        edr_risk=report.edr_risk,
        av_current=report.av_current,
        firewall=report.firewall,
        screen_lock=report.screen_lock,
        tampered=report.tampered,
        patch_age_days="unknown" if report.patch_age_days is None else report.patch_age_days,
        age_hours=_age_hours(report, horizon),
        source=report.source,
    )


def _age_hours(report: PostureReport, horizon: Horizon) -> CountOrUnknown:
    """Whole hours, rounded up: 24 means at most 24 hours, so that "older than 24" is exact."""
    if report.observed_at is None:
        return "unknown"
    if report.observed_at > horizon.now + CLOCK_SKEW:
        horizon.at("device.posture.age_hours", report.observed_at - CLOCK_SKEW)
        return "unknown"
    age = max(horizon.now - report.observed_at, timedelta())
    hours = -(-age // _HOUR)
    # The age is still `hours` at its border, and one more right after it.
    horizon.at("device.posture.age_hours", report.observed_at + _HOUR * hours + timedelta(microseconds=1))
    return hours

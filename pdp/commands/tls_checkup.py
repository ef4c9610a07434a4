"""The examination of the listener's TLS by `pdp doctor`: are the files usable, and until when."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pdp.commands.finding import Finding, fail, ok, warn
from pdp.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pdp.settings import Settings

ENDS_SOON: Final = timedelta(days=14)  # authorities that renew by themselves do so with a third of 30 to 90 days left
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def crl_findings(settings: Settings, now: datetime, pick: Callable[[str, str], str]) -> list[Finding]:
    """The revocation list of each authority of client certificates: one that has ended lets nobody in."""
    from pdp.proof_parts import revocation_lists

    topic = pick("失効リスト（CRL）", "revocation lists (CRL)")
    try:
        lists = revocation_lists(settings)
    except SekishoError as fault:
        return [fail(topic, fault.message, fault.next_step)]
    if lists is None:
        return []
    lists.look()
    renew = pick("認証局から新しい失効リストを取得して置く", "fetch the authority's newer list and put it there")
    findings = []
    for authority, span in sorted(lists.ends().items()):
        if span is None:
            none = pick(f"{authority}: 失効リストがない", f"{authority}: there is no list, and its clients are refused")
            findings.append(fail(topic, none, renew))
            continue
        made, ends = span
        detail = f"{authority} ≤ {ends.isoformat(timespec='minutes')}"
        if ends <= now:
            findings.append(fail(topic, detail, renew))
        else:  # authorities renew their lists long before: with a quarter left something has stopped
            findings.append(warn(topic, detail, renew) if ends - now < (ends - made) / 4 else ok(topic, detail))
    return findings


def tls_findings(settings: Settings, now: datetime, pick: Callable[[str, str], str]) -> list[Finding]:
    """The certificate that is shown, and the authorities of callers: each with its end."""
    topic = "TLS"
    if not settings.tls_cert_file:
        if settings.host in _LOOPBACK:
            return [ok(topic, pick("なし（同一機器内のみ）", "none, on loopback only"))]
        proxy = pick(
            "`tls_cert_file` を設定するか、前段のプロキシで終端する", "set `tls_cert_file`, or end TLS in a proxy"
        )
        return [warn(topic, pick("平文の HTTP", "plain HTTP beyond this machine"), proxy)]
    from pdp.api.tls import TlsFiles, listener_context
    from pdp.callers.certificate import authorities_in, read_authorities

    files = TlsFiles(
        settings.tls_cert_file,
        settings.tls_key_file,
        settings.tls_client_ca_file,
        settings.tls_client_certificate,
        settings.tls_client_crl,
    )
    try:
        listener_context(files)
        shown = read_authorities(Path(settings.tls_cert_file).read_bytes())[0]
        authorities = authorities_in(settings.tls_client_ca_file)
    except SekishoError as fault:
        return [fail(topic, fault.message, fault.next_step)]
    renew = pick("証明書を更新する", "renew it")
    named = [(pick("サーバー証明書", "server certificate"), shown)]
    named += [(one.subject.rfc4514_string(), one) for one in authorities]
    findings = []
    for name, certificate in named:
        ends = certificate.not_valid_after_utc
        detail = f"{name} ≤ {ends.isoformat(timespec='minutes')}"
        if ends <= now:
            findings.append(fail(topic, detail, renew))
        else:
            findings.append(warn(topic, detail, renew) if ends <= now + ENDS_SOON else ok(topic, detail))
    return findings

"""A PAN-OS management plane as far as GlobalProtect users and their HIP reports are in it, with faults on demand."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

KEY = "LUFRPT1-key-of-the-simulator"
EMPTY = b'<response status="success"><result/></response>'


def product(inner: str, name: str = "Windows Defender", **attributes: str) -> str:
    given = "".join(f" {key}={quoteattr(value)}" for key, value in {"vendor": "Maker", "version": "1"}.items())
    given += "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<entry><ProductInfo><Prod name={quoteattr(name)}{given}/>{inner}</ProductInfo></entry>"


def malware(
    protection: str = "yes", dated: tuple[int, int, int] = (2026, 6, 30), name: str = "Windows Defender"
) -> str:
    year, month, day = dated
    inner = f"<real-time-protection>{protection}</real-time-protection><last-full-scan-time>n/a</last-full-scan-time>"
    return product(inner, name, dateyear=str(year), datemon=str(month), dateday=str(day), defver="1.4")


def drives(*states: tuple[str, str], name: str = "BitLocker Drive Encryption") -> str:
    entries = "".join(
        f"<entry><drive-name>{escape(drive)}</drive-name><enc-state>{state}</enc-state></entry>"
        for drive, state in states
    )
    return product(f"<drives>{entries}</drives>", name)


def enabled(state: str = "yes", name: str = "Windows Firewall") -> str:
    return product(f"<is-enabled>{state}</is-enabled>", name)


MISSING = (
    "<missing-patches><entry><title>2026-06 Cumulative Update</title><kb-article-id>5041585</kb-article-id>"
    "<severity>2</severity><category>security_update</category><is-installed>no</is-installed></entry></missing-patches>"
)


def hip_report(
    computer: str = "PC-0001",
    *,
    serial: str = "5CG0001",
    generated: str = "07/01/2026 09:00:00",
    anti_malware: str | None = malware(),
    encryption: str | None = drives(("C:\\", "encrypted"), ("All", "encrypted")),
    firewall: str | None = enabled(),
    patches: str | None = f"<list>{enabled(name='Windows Update Agent')}</list><missing-patches/>",
    more: str = "",
) -> str:
    """A report as the agent writes it; a category that is None is left out."""
    listed = {"anti-malware": anti_malware, "disk-encryption": encryption, "firewall": firewall}
    categories = "".join(
        f'<entry name="{name}"><list>{inner}</list></entry>' for name, inner in listed.items() if inner is not None
    )
    if patches is not None:
        categories += f'<entry name="patch-management">{patches}</entry>'
    host = (
        f"<client-version>6.2.0</client-version><os>Microsoft Windows 11</os><host-name>{escape(computer)}</host-name>"
        f"<host-id>guid-{escape(computer)}</host-id><serial-number>{escape(serial)}</serial-number>"
    )
    return (
        f"<hip-report><md5-sum>0</md5-sum><user-name>u-0001</user-name><host-name>{escape(computer)}</host-name>"
        f"<host-id>guid-{escape(computer)}</host-id><generate-time>{generated}</generate-time>"
        f'<categories><entry name="host-info">{host}</entry>{categories}</categories>{more}</hip-report>'
    )


@dataclass
class PanOs:
    """An ASGI application. `faults`: what to answer instead, by the number of the request (from 1).

    A fault is (status, headers, body), `"cut"` for a connection that ends in the middle of the body, or `"silent"`.
    """

    reports: dict[str, str] = field(default_factory=dict)  # by computer
    users: list[tuple[str, str, str]] = field(default_factory=list)  # computer, address, user
    faults: dict[int, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    silent: threading.Event = field(default_factory=threading.Event)  # somebody waits for an answer that never comes

    def add(self, computer: str, report: str | None = None, user: str | None = None) -> None:
        number = len(self.users)
        self.users.append((computer, f"10.0.{number // 250}.{number % 250 + 1}", user or f"u-{number:04d}"))
        if report is not None:
            self.reports[computer] = report

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        form = parse_qs(body.decode())
        self.keys.append(headers.get("x-pan-key"))
        self.targets.append(f"{scope['method']} {scope['raw_path'].decode()}?{scope['query_string'].decode()}")
        self.asked.append(form.get("cmd", [""])[0])
        fault = self.faults.get(len(self.asked))
        if fault == "silent":
            self.silent.set()
            await receive()  # until the client goes
            return
        status, extra, answer = (200, {}, self._answer(headers, form)) if fault in (None, "cut") else fault
        lines = {"content-type": "application/xml", "content-length": str(len(answer)), **extra}
        start = {"type": "http.response.start", "status": status}
        await send({**start, "headers": [(n.encode(), v.encode()) for n, v in lines.items()]})
        part = answer[: len(answer) // 2] if fault == "cut" else answer
        await send({"type": "http.response.body", "body": part, "more_body": fault == "cut"})

    def _answer(self, headers: dict[str, str], form: dict[str, list[str]]) -> bytes:
        if headers.get("x-pan-key") != KEY:
            return b'<response status="error" code="16"><msg><line>Unauthorized request</line></msg></response>'
        if form.get("type") != ["op"]:
            return b'<response status="error" code="12"><msg><line>Invalid</line></msg></response>'
        command = ET.fromstring(form["cmd"][0])
        if command.find("global-protect-gateway/current-user") is not None:
            return self._list()
        asked = command.find("user/hip-report")
        if asked is None:
            return b'<response status="error" code="17"><msg><line>invalid</line></msg></response>'
        triple = tuple(asked.findtext(name) or "" for name in ("computer", "ip", "user"))
        report = self.reports.get(triple[0]) if triple in self.users else None
        return EMPTY if report is None else f'<response status="success"><result>{report}</result></response>'.encode()

    def _list(self) -> bytes:
        entries = "".join(
            f"<entry><domain/><islocal>no</islocal><username>{escape(user)}</username><computer>{escape(computer)}"
            f"</computer><virtual-ip>{address}</virtual-ip><login-time-utc>1782000000</login-time-utc></entry>"
            for computer, address, user in self.users
        )
        return f'<response status="success"><result>{entries}</result></response>'.encode()

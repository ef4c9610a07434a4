"""Certificates and OAuth clients that are a caller.

- `certificate`: one certificate, by its SHA-256. Nothing else about it counts.
- `name`: any certificate with this exact name that was signed by this very authority. No wildcards: a name that
  stands for many would make each of them the caller.
- `client`: access tokens of one issuer, for one client, with one subject. The subject belongs to it: the token that
  a person got through the same client has the same `client_id`, and must not be the gateway (RFC 9068 section 5).

INVARIANT (one caller): what is bound is bound to one caller at a time.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sqlalchemy import insert, select

from pdp.callers.register import changed, require, revoke_bindings
from pdp.errors import BadRequestError
from pdp.store import tables

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.store.store import Store

BindingKind = Literal["certificate", "name", "client"]
MAX_TEXT: Final = 512  # characters of a name, an issuer, a client id
_SHA256: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME: Final = re.compile(r"(dns|uri|email|ip|subject):(.+)", re.DOTALL)
_BINDINGS: Final = tables.caller_bindings


class Bound(NamedTuple):
    """What is bound. `issuer` is an authority's SHA-256 or a token's `iss`; what a kind does not have is empty."""

    kind: BindingKind
    issuer: str
    value: str
    subject: str = ""


def bound_certificate(sha256: str) -> Bound:
    """`sha256` over the DER form, hex, colons or not, as openssl prints it. Raises BadRequestError."""
    return Bound("certificate", "", _fingerprint(sha256))


def bound_name(name: str, authority_sha256: str) -> Bound:
    """`name` as `pdp.callers.certificate` spells it, `dns:gw.example.jp`. Raises BadRequestError."""
    form = _NAME.fullmatch(name)
    if form is None or len(name) > MAX_TEXT or not name.isprintable():
        raise BadRequestError(
            f"`{name[:64]}` is no name in a certificate",
            next_step="write dns:, uri:, email:, ip: or subject: before it",
        )
    if form[1] == "dns":
        name = name.lower()
    if form[1] == "dns" and "*" in name:
        raise BadRequestError("a wildcard would make many certificates one caller", next_step="bind each name")
    return Bound("name", _fingerprint(authority_sha256), name)


def bound_client(issuer: str, client_id: str, subject: str | None = None) -> Bound:
    """`subject` is the token's `sub`; None: the client's own id (RFC 9068 section 2.2). Raises BadRequestError."""
    subject = client_id if subject is None else subject
    for text in (issuer, client_id, subject):
        if not 1 <= len(text) <= MAX_TEXT or not text.isprintable():
            raise BadRequestError("issuer, client and subject are 1 to 512 printable characters each")
    return Bound("client", issuer, client_id, subject)


def bind(store: Store, caller_id: str, bound: Bound, *, now: datetime) -> str:
    """Make it a credential of this caller, from every worker's next look on; the binding's id.

    Raises BadRequestError for an unknown caller, or where it is bound already.
    """
    with store.write() as connection:
        changed(connection)
        require(connection, caller_id)
        same = (
            (_BINDINGS.c.kind == bound.kind)
            & (_BINDINGS.c.issuer == bound.issuer)
            & (_BINDINGS.c.value == bound.value)
            & (_BINDINGS.c.subject == bound.subject)
        )
        held = connection.execute(select(_BINDINGS.c.caller_id).where(same & _BINDINGS.c.revoked_at.is_(None))).first()
        if held is not None:
            raise BadRequestError(
                f"it is bound to the caller `{held.caller_id}`", next_step="`pdp caller unbind` ends that first"
            )
        binding_id = secrets.token_hex(8)
        row = {"binding_id": binding_id, "caller_id": caller_id, "created_at": now, **bound._asdict()}
        connection.execute(insert(_BINDINGS), row)
        return binding_id


def unbind(store: Store, caller_id: str, binding_id: str, *, now: datetime) -> None:
    """End one binding, at every worker's next look. Raises BadRequestError where the caller has none of this id."""
    which = (_BINDINGS.c.caller_id == caller_id) & (_BINDINGS.c.binding_id == binding_id)
    with store.write() as connection:
        changed(connection)
        if connection.execute(select(_BINDINGS.c.binding_id).where(which)).first() is None:
            raise BadRequestError(
                f"the caller `{caller_id[:128]}` has no binding `{binding_id[:32]}`",
                next_step="`pdp caller list` names them",
            )
        revoke_bindings(connection, which, now)


def _fingerprint(text: str) -> str:
    plain = text.replace(":", "").lower()
    if _SHA256.fullmatch(plain) is None:
        raise BadRequestError(f"`{text[:100]}` is not a SHA-256 in hexadecimal")
    return plain

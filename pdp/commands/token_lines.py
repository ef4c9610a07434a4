"""`pdp token check`, line by line: a token in, one JSON object out. Nothing of a token but the names of its claims."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

import msgspec

from pdp.errors import BadRequestError
from pdp.identity.checking import check_token, named_issuer
from pdp.identity.claims import account
from pdp.identity.jws import MAX_TOKEN, read_jws
from pdp.identity.keys import MAX_JWKS, KeySet, read_jwks
from pdp.identity.token import TokenRefusedError
from pdp.model.issuer import Issuer

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pdp.identity.token import VerifiedToken

_LONGEST: Final = MAX_TOKEN + 2  # bytes of a line that are looked at: with these it is too long, newline or not
_ANY_AGE_S: Final = 10**9  # thirty years
_write: Final = msgspec.json.Encoder().encode


class Checked(NamedTuple):
    """`reason` is `ok` or a key of `pdp.identity.token.REASONS`; `claims` says how each claim was accounted for."""

    ok: bool
    reason: str
    claims: dict[str, str]


def issuer_of(
    *, access_token_claims: list[str], algorithms: list[str] | None, max_age_s: int | None, **described: Any
) -> Issuer:
    """The issuer that the options describe, held to the rules of the settings; without `max_age_s` only `exp` ends
    a token. Raises BadRequestError.
    """
    named = dict(claim.partition("=")[::2] for claim in access_token_claims)
    chosen: dict[str, Any] = {} if algorithms is None else {"algorithms": algorithms}
    if max_age_s is not None:
        chosen["max_age_s"] = max_age_s
    try:
        issuer = msgspec.convert({"access_token_claims": named, **chosen, **described}, Issuer)
    except msgspec.ValidationError as fault:
        message = str(fault)
        raise BadRequestError(message[:1].lower() + message[1:]) from None
    return issuer if max_age_s is not None else msgspec.structs.replace(issuer, max_age_s=_ANY_AGE_S)


def keys_of(path: Path) -> KeySet:
    """Raises BadRequestError where the file is not a JWK Set."""
    try:
        with path.open("rb") as file:
            return read_jwks(file.read(MAX_JWKS + 1))
    except OSError as fault:
        raise BadRequestError(f"`{path}` cannot be read: {fault.strerror}") from None


def check_lines(tokens: BinaryIO, answers: BinaryIO, issuer: Issuer, keys: KeySet, now: datetime) -> None:
    """Answer every line, an empty one too. A newline at the end begins no line."""
    while line := tokens.readline(_LONGEST):
        rest = line
        while len(line) == _LONGEST and rest and not rest.endswith(b"\n"):
            rest = tokens.readline(MAX_JWKS)  # of a line that is too long: skipped, never held
        checked = check_one(line.removesuffix(b"\n"), issuer, keys, now)
        answers.write(_write(checked._asdict()) + b"\n")
    answers.flush()


def check_one(line: bytes, issuer: Issuer, keys: KeySet, now: datetime) -> Checked:
    """One token, exactly as it stands: a blank before or behind it makes it another text, and so none."""
    payload: dict[str, Any] = {}
    try:
        jws = read_jws(line.decode("latin-1"))
        payload = jws.payload
        verified = _unbound(check_token(jws, named_issuer(jws, {issuer.issuer: issuer}), keys, now))
    except TokenRefusedError as fault:
        return Checked(False, fault.reason, _unaccounted(payload, fault, issuer))
    return Checked(True, "ok", dict(verified.claims))


def _unbound(verified: VerifiedToken) -> VerifiedToken:
    if verified.cnf is not None:
        raise TokenRefusedError("proof_required", "cnf")
    return verified


def _unaccounted(payload: dict[str, Any], fault: TokenRefusedError, issuer: Issuer) -> dict[str, str]:
    """For a token that does not count: which claim was the fault, and which would have been ignored anyway."""
    claim = "cnf" if fault.reason in ("proof_required", "cnf_unknown") else fault.claim
    judged = {}
    for name in payload:
        word = account(name, issuer)
        judged[name] = "refused" if name == claim else word if word.startswith("ignored") else "not judged"
    return judged

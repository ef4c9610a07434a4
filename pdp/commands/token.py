"""`pdp token`: what a token of an identity provider is worth here, and which do not count any more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option, Typer

from pdp.commands.call import StoreCall, spread
from pdp.commands.options import AsJson

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.identity.revocations import MarkKind
    from pdp.settings import Settings

app = Typer(no_args_is_help=True, help="Tokens of the identity provider: check them, revoke them.")

_Subject = Annotated[str | None, Option(help="A subject: its id in the directory, or its `sub`.")]
_Session = Annotated[str | None, Option(help="A session: its `sid`.")]
_Token = Annotated[str | None, Option(help="A token: its `jti`, never the token itself.")]
_Issuer = Annotated[
    str | None, Option(help="Whose it is: a configured issuer, as `iss` has it. Default: every issuer.")
]


@app.callback()
def token() -> None:
    """Tokens of the identity provider: check them, revoke them."""


@app.command("check")
def check(
    jwks: Annotated[Path, Option(help="File with the issuer's keys, a JWK Set.")],
    issuer: Annotated[str, Option(help="What `iss` must be, character for character.")],
    audience: Annotated[list[str], Option(help="What `aud` must name; several: one of them.")],
    at: Annotated[float | None, Option(help="Seconds since 1970 to check at; default: now.")] = None,
    alg: Annotated[list[str] | None, Option(help="Algorithms of this issuer; default: RS256 and ES256.")] = None,
    typ: Annotated[Literal["at+jwt", "jwt"], Option(help="`jwt` also lets the type JWT in.")] = "at+jwt",
    access_token_claim: Annotated[
        list[str] | None, Option(metavar="CLAIM[=VALUE]", help="With --typ jwt: what ID tokens do not have.")
    ] = None,
    client: Annotated[list[str] | None, Option(help="Clients whose tokens count; default: all.")] = None,
    subject_claim: Annotated[str, Option(help="The claim that is the user's id in the directory.")] = "sub",
    client_claim: Annotated[str, Option(help="The claim that is the client.")] = "client_id",
    token_id_claim: Annotated[str, Option(help="The claim that is the token's id.")] = "jti",  # noqa: S107  # a name
    leeway: Annotated[int, Option(min=0, max=60, help="Seconds that clocks may differ.")] = 60,
    max_age: Annotated[
        int | None, Option(min=60, help="Seconds after `iat` at which a token ends; default: none.")
    ] = None,
    as_json: AsJson = True,
) -> None:
    """Read tokens from standard input, one a line; print one JSON line for each, in the same order.

    A line says whether the token would count, the reason where it would not, and for each claim how it was
    accounted for; docs/identity.md lists the words. A token that needs a proof of possession does not count,
    because none is given here. No token is ever printed.
    """
    import sys

    from pdp.commands.token_lines import check_lines, issuer_of, keys_of

    del as_json  # the output is always JSON lines
    described = issuer_of(
        issuer=issuer,
        audiences=audience,
        jwks_file=str(jwks),
        algorithms=alg or None,
        typ=typ,
        access_token_claims=access_token_claim or [],
        clients=client or [],
        subject_claim=subject_claim,
        client_claim=client_claim,
        token_id_claim=token_id_claim,
        leeway_s=leeway,
        max_age_s=max_age,
    )
    check_lines(sys.stdin.buffer, sys.stdout.buffer, described, keys_of(jwks), _instant(at))


@app.command("revoke")
@spread
def revoke(
    call: StoreCall,
    subject: _Subject = None,
    session: _Session = None,
    token: _Token = None,
    issuer: _Issuer = None,
    at: Annotated[
        float | None, Option(help="Seconds since 1970; what is from then or before ends. Default: now.")
    ] = None,
) -> None:
    """Revoke what a subject was given until now, one session, or one token: every worker refuses it within a second.

    A subject who logs in again afterwards is let in; a session and a token end for good. Without `--issuer` the mark
    counts whoever issued it.
    """
    from pdp.commands.telling import changing
    from pdp.identity.revocations import revoke as mark

    terminal = call.terminal
    kind, marked = _one_of(subject, session, token)
    whose = _known(issuer, call.settings())
    with changing(call, "revocations") as (store, now):
        made = mark(store, kind, marked, at=now if at is None else _instant(at), now=now, issuer=whose)
    if terminal.as_json:
        terminal.json({"kind": kind, "id": marked, "issuer": issuer, "not_before": made.not_before.isoformat()})
    until = made.not_before.isoformat(timespec="seconds")
    names = {"subject": "利用者", "session": "セッション", "token": "トークン"}
    terminal.say(
        terminal.pick(
            f"{names[kind]} {marked} を失効させた（{until} まで）", f"{kind} {marked} is revoked, as of {until}"
        )
    )


@app.command("lift")
@spread
def lift(
    call: StoreCall, subject: _Subject = None, session: _Session = None, token: _Token = None, issuer: _Issuer = None
) -> None:
    """Take a revocation back that was made by mistake; without `--issuer` the one that counts for every issuer."""
    from pdp.commands.telling import changing
    from pdp.identity.revocations import EVERY
    from pdp.identity.revocations import lift as unmark

    terminal = call.terminal
    kind, marked = _one_of(subject, session, token)
    with changing(call, "revocations") as (store, _):
        unmark(store, kind, marked, issuer=issuer or EVERY)  # also of an issuer that is configured no more
    terminal.answer(
        {"kind": kind, "id": marked, "issuer": issuer, "lifted": True},
        terminal.pick(f"{marked} の失効を取り消した", f"the revocation of {marked} is lifted"),
    )


@app.command("revocations")
@spread
def revocations(call: StoreCall) -> None:
    """Every revocation that counts, the latest first."""
    from pdp.commands.composed import store_of
    from pdp.identity.revocations import list_marks
    from pdp.parts import utc_now

    terminal = call.terminal
    with store_of(call.settings()) as store:
        marks = list_marks(store, now=utc_now())
    if terminal.as_json:
        rows = [
            {
                "kind": mark.kind,
                "id": mark.id,
                "issuer": mark.issuer or None,
                "not_before": mark.not_before.isoformat(),
                "created_at": mark.created_at.isoformat(),
            }
            for mark in marks
        ]
        terminal.json({"revocations": rows})
        return
    ja, en = ["種類", "対象", "発行者", "失効時刻", "登録"], ["kind", "id", "issuer", "as of", "made"]
    terminal.table(
        ja if terminal.lang == "ja" else en,
        [
            [
                mark.kind,
                mark.id,
                mark.issuer or terminal.pick("すべて", "every"),
                mark.not_before.isoformat(timespec="seconds"),
                mark.created_at.isoformat(timespec="seconds"),
            ]
            for mark in marks
        ],
    )


def _one_of(subject: str | None, session: str | None, token: str | None) -> tuple[MarkKind, str]:
    from pdp.errors import BadRequestError

    named: list[tuple[MarkKind, str | None]] = [("subject", subject), ("session", session), ("token", token)]
    given = [(kind, value) for kind, value in named if value is not None]
    if len(given) != 1:
        raise BadRequestError(
            "exactly one thing is revoked at a time", next_step="give --subject, --session or --token"
        )
    kind, value = given[0]
    if kind == "token" and value.count(".") == 2:  # noqa: PLR2004  # the shape of a JWS
        raise BadRequestError("this is a token and not its id", next_step="give the value of its `jti`")
    return kind, value


def _known(issuer: str | None, settings: Settings) -> str:
    """The attack is a slip of the pen: a mark for an issuer that nobody has would end nothing."""
    from pdp.errors import BadRequestError
    from pdp.identity.revocations import EVERY

    if issuer is None:
        return EVERY
    if issuer not in {one.issuer for one in settings.issuers}:
        raise BadRequestError(
            f"`{issuer}` is not a configured issuer", next_step="leave `--issuer` out to revoke for every issuer"
        )
    return issuer


def _instant(seconds: float | None) -> datetime:
    from datetime import UTC, datetime

    from pdp.errors import BadRequestError
    from pdp.parts import utc_now

    if seconds is None:
        return utc_now()
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        raise BadRequestError("`--at` is not a number of seconds since 1970") from None

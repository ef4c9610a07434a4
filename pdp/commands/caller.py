"""`pdp caller`: enforcement points and machines, what they may, and how they are known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Argument, Option, Typer

from pdp.commands.call import StoreCall, spread
from pdp.commands.options import Profile

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.callers.bindings import Bound
    from pdp.callers.listing import ListedCaller
    from pdp.commands.terminal import Terminal
    from pdp.store.store import Store

app = Typer(no_args_is_help=True, help="Enforcement points: permissions, keys, certificates, limits.")

_CallerId = Annotated[str, Argument(metavar="CALLER", help="Name of the caller, as the decision log shows it.")]
_ExpiresInDays = Annotated[int | None, Option(min=1, help="The key ends after so many days; default: never.")]
_Permissions = Annotated[list[str] | None, Option("--permission", help="A permission; may be given several times.")]
_Networks = Annotated[
    list[str] | None, Option("--network", help="Only from this address or network; may be given several times.")
]
_OneProfile = Annotated[Profile | None, Option("--profile", help="Only for policies of this profile.")]
_AnyOrOneProfile = Annotated[Literal["zta", "plain", "any"] | None, Option("--profile", help="Only for this profile.")]


@app.callback()
def caller() -> None:
    """Enforcement points: permissions, keys, certificates, limits."""


@app.command("add")
@spread
def add(
    call: StoreCall,
    caller_id: _CallerId,
    permission: _Permissions = None,
    network: _Networks = None,
    profile: _OneProfile = None,
    expires_in_days: _ExpiresInDays = None,
    no_key: Annotated[bool, Option("--no-key", help="Without a key: it will show a certificate or a token.")] = False,
) -> None:
    """Register a caller (default permission: decide). Its key is printed once and cannot be had again."""
    from pdp.callers.bounds import CallerBounds
    from pdp.callers.keys import add_caller, register_caller
    from pdp.commands.telling import changing

    terminal = call.terminal
    permissions: Any = permission or ["decide"]  # checked by the register, which names those that exist
    bounds = CallerBounds(tuple(network or ()), profile)
    key = None
    with changing(call, "callers") as (store, now):
        if no_key:
            register_caller(store, caller_id, permissions, now=now, bounds=bounds)
        else:
            ends = _after(now, expires_in_days)
            key = add_caller(store, caller_id, permissions, now=now, expires_at=ends, bounds=bounds)
    if key is not None:
        _hand_over(terminal, caller_id, key)
        return
    terminal.answer(
        {"id": caller_id, "key": None},
        terminal.pick(f"{caller_id} を登録した（鍵なし）", f"{caller_id} was registered, without a key"),
    )


@app.command("key")
@spread
def key(
    call: StoreCall,
    caller_id: _CallerId,
    permission: _Permissions = None,
    network: _Networks = None,
    profile: _OneProfile = None,
    expires_in_days: _ExpiresInDays = None,
) -> None:
    """Make one more key beside the present ones; it may be bounded further than its caller. The key is printed once."""
    from pdp.callers.bounds import KeyBounds
    from pdp.callers.keys import further_key
    from pdp.commands.telling import changing

    terminal = call.terminal
    permissions: Any = None if permission is None else tuple(permission)
    bounds = KeyBounds(permissions, tuple(network or ()), profile)
    with changing(call, "callers") as (store, now):
        made = further_key(store, caller_id, now=now, expires_at=_after(now, expires_in_days), bounds=bounds)
    _hand_over(terminal, caller_id, made)


@app.command("rotate")
@spread
def rotate(
    call: StoreCall,
    caller_id: _CallerId,
    key: Annotated[str | None, Option(help="Only this key, by its id; default: all keys of the caller.")] = None,
    overlap_days: Annotated[int, Option(min=0, help="How long the present keys still count.")] = 7,
    expires_in_days: _ExpiresInDays = None,
) -> None:
    """Make a new key, bounded as the present ones; these end after the overlap. The key is printed once."""
    from datetime import timedelta

    from pdp.callers.keys import rotate_key
    from pdp.commands.telling import changing

    terminal = call.terminal
    with changing(call, "callers") as (store, now):
        overlap, ends = timedelta(days=overlap_days), _after(now, expires_in_days)
        made = rotate_key(store, caller_id, now=now, overlap=overlap, expires_at=ends, key_id=key)
    _hand_over(terminal, caller_id, made)


@app.command("revoke")
@spread
def revoke(
    call: StoreCall,
    caller_id: _CallerId,
    key: Annotated[str | None, Option(help="Only this key, by its id; default: all that the caller has.")] = None,
) -> None:
    """End the keys and bindings of a caller now: every worker refuses them within a second or two."""
    from pdp.callers.keys import revoke_caller, revoke_key
    from pdp.callers.listing import list_callers
    from pdp.commands.telling import changing
    from pdp.errors import BadRequestError

    terminal = call.terminal
    with changing(call, "callers") as (store, now):
        if key is None:
            revoke_caller(store, caller_id, now=now)
        else:
            held = {listed.id: {one.key_id for one in listed.keys} for listed in list_callers(store)}
            if key not in held.get(caller_id, set()):
                raise BadRequestError(
                    f"the caller `{caller_id}` has no key `{key}`", next_step="`pdp caller list` names them"
                )
            revoke_key(store, key, now=now)
    terminal.answer(
        {"id": caller_id, "revoked": "all" if key is None else key},
        terminal.pick(f"{caller_id} の鍵を失効させた", f"the keys of {caller_id} were revoked"),
    )


@app.command("bind")
@spread
def bind(
    call: StoreCall,
    caller_id: _CallerId,
    certificate: Annotated[Path | None, Option(help="PEM file: this very certificate is the caller.")] = None,
    certificate_sha256: Annotated[str | None, Option(help="The same, by its SHA-256 in hexadecimal.")] = None,
    certificate_name: Annotated[
        str | None, Option(help="A name such as dns:gw.example.jp, in any certificate of --authority.")
    ] = None,
    authority: Annotated[Path | None, Option(help="PEM file of the authority that signs such certificates.")] = None,
    client_id: Annotated[str | None, Option(help="OAuth client whose own access tokens are the caller.")] = None,
    issuer: Annotated[str | None, Option(help="Who issues them: the token's iss.")] = None,
    subject: Annotated[str | None, Option(help="The token's sub; default: the client's id.")] = None,
) -> None:
    """Make a certificate or an OAuth client a credential of this caller."""
    from pdp.callers import bindings
    from pdp.commands.caller_binding import bound_by
    from pdp.commands.telling import changing

    terminal = call.terminal
    bound: Bound = bound_by(
        certificate=certificate,
        sha256=certificate_sha256,
        name=certificate_name,
        authority=authority,
        client_id=client_id,
        issuer=issuer,
        subject=subject,
    )
    with changing(call, "callers") as (store, now):
        binding_id = bindings.bind(store, caller_id, bound, now=now)
    terminal.answer(
        {"id": caller_id, "binding_id": binding_id, **bound._asdict()},
        terminal.pick(f"{caller_id} に結び付けた: {binding_id}", f"bound to {caller_id}: {binding_id}"),
    )


@app.command("unbind")
@spread
def unbind(
    call: StoreCall,
    caller_id: _CallerId,
    binding_id: Annotated[str, Argument(metavar="BINDING", help="Its id, as `pdp caller list` shows it.")],
) -> None:
    """End one binding now."""
    from pdp.callers import bindings
    from pdp.commands.telling import changing

    terminal = call.terminal
    with changing(call, "callers") as (store, now):
        bindings.unbind(store, caller_id, binding_id, now=now)
    terminal.answer(
        {"id": caller_id, "unbound": binding_id},
        terminal.pick(f"結び付けを解いた: {binding_id}", f"unbound: {binding_id}"),
    )


@app.command("limits")
@spread
def limits(
    call: StoreCall,
    caller_id: _CallerId,
    permission: _Permissions = None,
    network: _Networks = None,
    any_network: Annotated[bool, Option("--any-network", help="From anywhere again.")] = False,
    profile: _AnyOrOneProfile = None,
    requests_per_s: Annotated[int | None, Option(help="Evaluations a second, in each worker.")] = None,
    burst: Annotated[int | None, Option(help="Evaluations at once after a pause.")] = None,
    body_bytes: Annotated[int | None, Option(help="Largest body.")] = None,
    batch: Annotated[int | None, Option(help="Most evaluations in one call.")] = None,
    default_limits: Annotated[bool, Option("--default-limits", help="Rate and sizes as without any word.")] = False,
) -> None:
    """Show what bounds a caller and, with options, change it: permissions, networks, profile, rate, sizes."""
    from pdp.callers.bounds import set_bounds
    from pdp.callers.budget import DEFAULT_LIMITS
    from pdp.callers.keys import set_permissions
    from pdp.commands.caller_list import show_bounds
    from pdp.commands.composed import store_of
    from pdp.commands.telling import changing

    terminal = call.terminal
    given = {"requests_per_s": requests_per_s, "burst": burst, "body_bytes": body_bytes, "batch": batch}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    wanted = (permission, network, any_network, profile, default_limits, changes)
    if not any(wanted):
        with store_of(call.settings()) as store:
            show_bounds(terminal, _listed(store, caller_id))
        return
    with changing(call, "callers") as (store, _):
        from dataclasses import replace

        bounds = _listed(store, caller_id).bounds
        bounds = bounds._replace(
            networks=() if any_network else tuple(network or bounds.networks),
            profile=(None if profile == "any" else profile) if profile else bounds.profile,
            limits=replace(DEFAULT_LIMITS if default_limits else bounds.limits, **changes),
        )
        set_bounds(store, caller_id, bounds)
        if permission:
            words: Any = permission
            set_permissions(store, caller_id, words)
        listed = _listed(store, caller_id)
    show_bounds(terminal, listed)


@app.command("list")
@spread
def list_all(call: StoreCall) -> None:
    """Every caller with its permissions, keys and bindings; no secret is shown, for none is kept."""
    from pdp.callers.listing import list_callers
    from pdp.commands.caller_list import show_all
    from pdp.commands.composed import store_of
    from pdp.parts import utc_now

    terminal = call.terminal
    with store_of(call.settings()) as store:
        show_all(terminal, list_callers(store), utc_now())


def _listed(store: Store, caller_id: str) -> ListedCaller:
    from pdp.callers.listing import list_callers
    from pdp.errors import BadRequestError

    for one in list_callers(store):
        if one.id == caller_id:
            return one
    raise BadRequestError(f"there is no caller `{caller_id[:128]}`", next_step="`pdp caller list` names them")


def _after(now: datetime, days: int | None) -> datetime | None:
    from datetime import timedelta

    return None if days is None else now + timedelta(days=days)


def _hand_over(terminal: Terminal, caller_id: str, key: str) -> None:
    """The key alone on stdout, so that a script can take it; what to do with it on stderr."""
    if terminal.as_json:
        terminal.json({"id": caller_id, "key": key})
    else:
        terminal.say(key)
    terminal.remark(
        terminal.pick(
            "この鍵は一度しか表示されない。`Authorization: Bearer 鍵` として送る",
            "this key is shown once; send it as `Authorization: Bearer KEY`",
        )
    )

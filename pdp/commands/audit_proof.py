"""`pdp audit prove|consistency|checkpoint|keys|rotate-key`: what an auditor takes away, and who signed it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from pdp.commands.call import PlainStateCall, StateCall, spread

if TYPE_CHECKING:
    from pdp.commands.terminal import Terminal
    from pdp.settings import Settings

Out = Annotated[Path | None, Option("--out", help="File to write; default: stdout.")]


@spread
def prove(
    call: PlainStateCall,
    decision_id: Annotated[str, Argument(help="The decision's id.")],
    out: Out = None,
    everywhere: Annotated[bool, Option("--everywhere", help="Look in all segments, not those of its time.")] = False,
    segment: Annotated[str | None, Option("--segment", help="Of several records of this id: in this segment.")] = None,
    seq: Annotated[int | None, Option("--seq", min=1, help="With --segment: the record's number there.")] = None,
) -> None:
    """Write the proof of one decision, which `tools/verify_decision.py` checks offline."""
    from pdp.archive.restoring import restorer
    from pdp.errors import SettingsError
    from pdp.trail.keeping import record_query
    from pdp.transparency.proofs import Place
    from pdp.transparency.proofs import prove as proof_of

    if (segment is None) != (seq is None):
        raise SettingsError("`--segment` and `--seq` belong together", next_step="give both, or neither")
    settings = call.settings()
    layout = _log(settings)
    archived, restore = restorer(layout.root)
    only = None if segment is None or seq is None else Place(segment, seq)
    found = proof_of(layout, decision_id, everywhere=everywhere, archived=archived, restore=restore, only=only)
    asked = {} if only is None else {"segment": only.segment, "seq": only.seq}
    record_query(settings, "audit.proof", asked, object=decision_id, rows=1)  # it holds the whole record
    _deliver(found, out, call.terminal)


@spread
def consistency(
    call: PlainStateCall,
    older: Annotated[Path, Argument(help="File of the older signed head.", exists=True, dir_okay=False)],
    newer: Annotated[Path, Argument(help="File of the newer signed head.", exists=True, dir_okay=False)],
    out: Out = None,
) -> None:
    """Write the proof that the newer head continues the older one: nothing before it was changed."""
    from pdp.transparency.proofs import prove_consistency

    settings = call.settings()
    heads = [path.read_text("utf-8", "replace") for path in (older, newer)]
    _deliver(prove_consistency(_log(settings).root, *heads), out, call.terminal)


@spread
def checkpoint(call: PlainStateCall, out: Out = None) -> None:
    """Sign for what is new, unless a running service does so, and write the newest signed head."""
    from pdp.errors import NotReadyError
    from pdp.proving import log_of, open_keeper

    settings = call.settings()
    _, place = log_of(settings)
    _log(settings)
    keeper = open_keeper(settings)
    while (turn := keeper.turn()) is not None and turn.behind:
        pass
    fault = keeper.status.fault
    keeper.stop()
    if fault is not None:
        raise NotReadyError(f"no head can be signed: {fault}", next_step="run `pdp audit verify`")
    if not place.checkpoint.exists():
        raise NotReadyError("no head has been signed yet", next_step="start the service, which signs one each second")
    _write(place.checkpoint.read_text("utf-8"), out, call.terminal)


@spread
def keys(call: PlainStateCall, out: Out = None) -> None:
    """Write the public keys that signed, oldest first: what auditors are given, by another way than the log."""
    from pdp.errors import NotReadyError
    from pdp.proving import log_of

    _, place = log_of(call.settings())
    if not place.keys.exists():
        raise NotReadyError("nothing has been signed yet", next_step="start the service, or run `pdp audit checkpoint`")
    _write(place.keys.read_text("utf-8"), out, call.terminal)


@spread
def rotate_key(call: StateCall) -> None:
    """Make a new signing key; the old one signs for it. A running service takes it at its next start."""
    from pdp.errors import SettingsError
    from pdp.proving import open_keeper, signing_of, trail_of
    from pdp.transparency.signer import make_key_file, read_signer

    terminal, settings = call.terminal, call.settings()
    signing = signing_of(settings)
    if not signing.made:
        raise SettingsError(
            "the signing key is named in the settings",
            next_step="make a new file, name it `log_key_file`, and the old one `log_previous_key_file`",
        )
    _refuse_twice(settings)
    make_key_file(signing.key)
    signing.key.replace(signing.previous)
    make_key_file(signing.key)
    keeper = open_keeper(settings)
    signed = keeper.turn() is not None
    keeper.stop()
    if trail_of(settings)[0].segments.is_dir():
        trail = open_keeper(settings, of="trail")
        trail.turn()
        trail.stop()
    key = str(read_signer(signing.key, signing.origin).key)
    terminal.answer({"key": key, "signed": signed}, key)
    terminal.remark(
        terminal.pick(
            "新しい鍵で署名を始めた。公開鍵を監査人に渡すこと"
            if signed
            else "稼働中のサービスは次の起動から新しい鍵を使う",
            "the new key signs from now on: give it to the auditors"
            if signed
            else "the running service takes the new key at its next start",
        )
    )


def _refuse_twice(settings: Settings) -> None:
    """A key that never signed must not be replaced: the one before it could not sign for the next any more."""
    from pdp.errors import SettingsError
    from pdp.proving import log_of, signing_of
    from pdp.transparency.signer import read_signer

    signing = signing_of(settings)
    _, place = log_of(settings)
    if not place.keys.exists() or not signing.key.exists():
        return
    if str(read_signer(signing.key, signing.origin).key) != place.keys.read_text("utf-8").splitlines()[-1]:
        raise SettingsError(
            "the newest key has not signed yet", next_step="restart the service, then make the next key"
        )


def _log(settings: Settings) -> Any:
    from pdp.errors import NotReadyError
    from pdp.proving import log_of

    layout, _ = log_of(settings)
    if not layout.segments.is_dir():
        raise NotReadyError("there is no decision log here", next_step="name its place with `--state-dir`")
    return layout


def _deliver(proof: dict[str, Any], out: Path | None, terminal: Terminal) -> None:
    import json

    _write(json.dumps(proof, ensure_ascii=False, indent=1) + "\n", out, terminal)


def _write(text: str, out: Path | None, terminal: Terminal) -> None:
    import sys

    if out is None:
        sys.stdout.write(text)
        return
    from pdp.errors import SettingsError

    try:
        out.write_text(text, "utf-8")
    except OSError as fault:
        raise SettingsError(f"`{out}` cannot be written: {fault.strerror}") from None
    terminal.remark(terminal.pick(f"{out} に書き出した", f"written to {out}"))

"""`pdp keys`: our own signing keys, with which answers to Cloudflare are signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from pdp.commands.call import StateCall, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pdp.commands.terminal import Terminal
    from pdp.identity.signing import ListedKey
    from pdp.settings import Settings

app: Final = typer.Typer(no_args_is_help=True, help="Our own signing keys: list them, rotate them.")


@app.command("list")
@spread
def list_(call: StateCall) -> None:
    """Every key that is published, the oldest first. Private parts are never shown."""
    from pdp.identity.signing import list_keys

    show_keys(list_keys(_file(call.settings())), call.terminal)


@app.command()
@spread
def rotate(call: StateCall) -> None:
    """Publish a new key, which signs from an hour later on; the old one goes an hour after that.

    Running workers see it within seconds. On several hosts, rotate once and copy the file to the others.
    """
    from pdp.identity.signing import rotate_keys
    from pdp.parts import utc_now

    show_keys(rotate_keys(_file(call.settings()), utc_now()), call.terminal)


def _file(settings: Settings) -> Path:
    from pdp.parts import signing_keys_file

    return signing_keys_file(settings)


def show_keys(keys: Sequence[ListedKey], terminal: Terminal) -> None:
    """The public halves, as every command shows them."""
    rows = [
        [
            key.kid,
            key.signs_from.isoformat(timespec="seconds"),
            "" if key.published_until is None else key.published_until.isoformat(timespec="seconds"),
        ]
        for key in keys
    ]
    if terminal.as_json:
        names = ("kid", "signs_from", "published_until")
        terminal.json({"keys": [dict(zip(names, [cell or None for cell in row], strict=True)) for row in rows]})
        return
    japanese = ["鍵", "署名の開始", "公開の終了"]
    terminal.table(japanese if terminal.lang == "ja" else ["key", "signs from", "published until"], rows)

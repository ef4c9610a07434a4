"""`pdp ssf`: security events between houses (Shared Signals Framework)."""

from __future__ import annotations

from typing import Final

from typer import Typer

app: Final = Typer(no_args_is_help=True, help="Security events between houses (Shared Signals Framework).")

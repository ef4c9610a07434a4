"""The outermost group: errors become two lines on stderr and an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from typer.core import TyperGroup

from pdp.commands.exit_codes import INTERNAL, INTERRUPTED, READER_GONE, exit_code
from pdp.errors import ImportRefusedError, SekishoError

MAX_FAULTS: Final = 50  # of a file to import; the rest is counted


class ErrorsAsExitCodes(TyperGroup):
    """`--debug` (an option of the outermost command) lets the exception through, with its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SekishoError as fault:
            if ctx.params.get("debug"):
                raise
            tell(fault)
            ctx.exit(exit_code(fault))
        except BrokenPipeError:
            # The reader of our output went away (`pdp eval | head`): nothing more can be said to it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(READER_GONE)
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)
        except Exception as fault:
            if ctx.params.get("debug") or type(fault).__module__.startswith("typer"):
                raise  # Typer's own: usage errors and exits
            print(f"error: internal error: {type(fault).__name__}: {fault}", file=sys.stderr)
            print("next: run the command again as `pdp --debug …` and report what it prints", file=sys.stderr)
            ctx.exit(INTERNAL)


def tell(fault: SekishoError) -> None:
    """The error, its rows where it has some, and the next step."""
    print(f"error: {fault.message}", file=sys.stderr)
    if isinstance(fault, ImportRefusedError):
        for row in fault.faults[:MAX_FAULTS]:
            print(f"  {row}", file=sys.stderr)
        if len(fault.faults) > MAX_FAULTS:
            print(f"  … and {len(fault.faults) - MAX_FAULTS} more", file=sys.stderr)
    print(f"next: {fault.next_step}", file=sys.stderr)

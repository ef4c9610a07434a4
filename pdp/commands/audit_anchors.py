"""`pdp audit heads`: signed heads that lie in an object store; and the time stamps that `pdp audit verify` checks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from pdp.commands.call import StateCall, spread

if TYPE_CHECKING:
    from pdp.declog.verify import Finding


@spread
def heads(
    call: StateCall,
    out: Annotated[Path, Option("--out", help="File to write; `pdp audit verify --anchor` reads it.")],
    address: Annotated[
        str | None, Argument(help="`s3+https://HOST/BUCKET/PREFIX?days=N`; default: those of the settings.")
    ] = None,
) -> None:
    """Fetch the signed heads that were sent to an object store, as a file for `pdp audit verify --anchor`."""
    from contextlib import closing

    from pdp.errors import NotReadyError, SettingsError
    from pdp.proving import utc_now
    from pdp.transparency.anchor import AnchorError
    from pdp.transparency.anchor_bucket import SCHEMES, BucketAnchor

    terminal, settings = call.terminal, call.settings()
    found = [address] if address else [a for a in settings.log_anchors if a.startswith(SCHEMES)]
    if not found:
        raise SettingsError("the settings name no anchor in an object store", next_step="give its address")
    count = 0
    try:
        with out.open("wb") as file:
            for entry in found:
                with closing(BucketAnchor(entry, clock=utc_now, ca_file=settings.log_anchor_ca_file)) as anchor:
                    for line in anchor.heads():
                        file.write(line)
                        count += 1
    except AnchorError as fault:
        raise NotReadyError(f"the heads cannot be fetched: {fault.word}") from None
    terminal.answer(
        {"heads": count}, terminal.pick(f"署名済みヘッド {count} 件を取得", f"{count} signed heads fetched")
    )


def stamp_files(log: Path) -> list[Path]:
    """The files of time stamps beside the ledgers."""
    return sorted((log / "proof").glob("*.timestamps"))


def check_stamps(files: list[Path], roots_file: str) -> list[Finding]:
    """What is wrong with them. Without roots nothing can be said. Raises SettingsError, OSError."""
    if not files or not roots_file:
        return []
    from pdp.transparency.timestamps import Roots, stamp_findings

    roots = Roots(roots_file)
    return [finding for path in files for finding in stamp_findings(path, roots)]

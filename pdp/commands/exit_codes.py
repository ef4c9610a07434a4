"""What the shell is told. Scripts rely on these numbers; docs/commands.md lists them."""

from __future__ import annotations

from typing import Final

from pdp import errors

OK: Final = 0
NO: Final = 1  # the answer is no: a deny, a failed scenario, a bundle that must not be activated
USAGE: Final = 2  # the command line, a setting or an input file cannot be used
NOT_READY: Final = 3  # something that is needed is not there, not reachable or not writable
INTERNAL: Final = 70  # a fault of ours (EX_SOFTWARE of sysexits)
INTERRUPTED: Final = 130  # Ctrl-C, as shells report it
READER_GONE: Final = 141  # what a shell reports for a writer whose reader went away

# The first line that fits decides; what stands nowhere here is a fault of ours.
_OF_ERROR: Final[tuple[tuple[type[errors.SekishoError], int], ...]] = (
    (errors.ImportRefusedError, USAGE),
    (errors.RecordDamagedError, NO),
    (errors.NotReadyError, NOT_READY),
    (errors.EngineError, NOT_READY),
    (errors.DirectoryError, NOT_READY),
    (errors.ConnectorError, NOT_READY),
    (errors.BadRequestError, USAGE),
    (errors.CallerRefusedError, USAGE),
    (errors.BundleError, USAGE),
    (errors.ScenarioError, USAGE),
    (errors.SettingsError, USAGE),
)


def exit_code(fault: errors.SekishoError) -> int:
    """The exit code of a command that ended with this error."""
    return next((code for kind, code in _OF_ERROR if isinstance(fault, kind)), INTERNAL)

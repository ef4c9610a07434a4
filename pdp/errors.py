"""Every error that Sekisho raises on purpose.

SekishoError
├── BadRequestError            400  the caller's bytes are not a request we understand
│   ├── PayloadTooLargeError   413  a limit of size, depth or count was passed
│   ├── UnsupportedMediaError  415  not application/json
│   ├── NotFoundError          404  what is asked for by its name or id is not there
│   ├── ConflictError          409  as things stand now it cannot be done
│   └── SlowRequestError       408  the body did not arrive within its deadline
├── CallerRefusedError              the enforcement point itself
│   ├── NotAuthenticatedError  401  no credential, or none that we know
│   ├── NotPermittedError      403  a known caller lacks the permission
│   └── TooManyRequestsError   429  a known caller asks more often than its limit
├── NotReadyError              503  no policy, no directory, or no writable log: no answer
│   ├── CopyUnavailableError   503  a copy of the decision log elsewhere cannot be used now
│   └── RecordFailedError      503  the decision could not be recorded, so it is not given
├── RecordDamagedError         500  a record of the decision log is not what was written
├── BundleError                500  a policy bundle that must not be activated
│   ├── ExportError            500  rules for a vendor that must not be exported
│   └── SpaceError             500  a policy whose decisions cannot be counted out exactly (docs/decision-space.md)
├── EngineError                500  the engine gave no well-formed verdict (always a deny)
│   ├── EngineSupersededError 500  another bundle has become active meanwhile
│   ├── EngineTimeoutError     500  the deadline passed; the evaluation was stopped
│   └── EngineDiedError        500  the evaluator process ended, or the server is gone
├── DirectoryError             500  the directory cannot be read or changed
│   └── ImportRefusedError     400  a file to import has faults; nothing was changed
├── ConnectorError             500  a source of facts did not answer as it should; its run counts for nothing
├── ScenarioError              400  a scenario file that breaks its own format
└── SettingsError              500  configuration that cannot be used
    └── WorkerNameInUseError   500  another process writes the decision log under this name

Each class carries a stable `code` (for machines and documentation), a `status` (for HTTP) and a
`next_step` (for the reader). The message says what is wrong: lower case, no full stop, input in
backticks, and never a secret, a token or a path of the server.
"""

from __future__ import annotations

from typing import ClassVar


class SekishoError(Exception):
    """The root. Anything that is not one of these is a bug, and denies."""

    code: ClassVar[str] = "internal_error"
    status: ClassVar[int] = 500
    next_step: ClassVar[str] = "tell the operator the decision id or the request id"

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if next_step is not None:
            self.next_step = next_step  # type: ignore[misc]  # one instance may know better than its class


class BadRequestError(SekishoError):
    """The request breaks its wire format. `pointer` is the JSON pointer of the fault, where known."""

    code = "bad_request"
    status = 400
    next_step = "correct the request and send it again"

    def __init__(self, message: str, *, pointer: str | None = None, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.pointer = pointer


class PayloadTooLargeError(BadRequestError):
    code = "payload_too_large"
    status = 413
    next_step = "send a smaller request, or split the batch"


class UnsupportedMediaError(BadRequestError):
    code = "unsupported_media_type"
    status = 415
    next_step = "send `Content-Type: application/json`"


class NotFoundError(BadRequestError):
    code = "not_found"
    status = 404
    next_step = "check the name or the id"


class ConflictError(BadRequestError):
    code = "conflict"
    status = 409
    next_step = "look at how things stand now, and decide anew"


class SlowRequestError(BadRequestError):
    code = "request_timeout"
    status = 408
    next_step = "send the request again, all of it at once"


class CallerRefusedError(SekishoError):
    code = "caller_refused"
    status = 403


class NotAuthenticatedError(CallerRefusedError):
    code = "not_authenticated"
    status = 401
    next_step = "send the enforcement point's API key as `Authorization: Bearer KEY`, or see docs/callers.md"


class NotPermittedError(CallerRefusedError):
    code = "not_permitted"
    status = 403
    next_step = "ask the operator to grant this caller the permission"


class TooManyRequestsError(CallerRefusedError):
    """`retry_after_s`: whole seconds after which one more request is taken (RFC 6585 section 4), at least 1."""

    code = "too_many_requests"
    status = 429
    next_step = "wait as long as `Retry-After` says; `pdp caller limits` shows and changes the limit"

    def __init__(self, message: str, *, retry_after_s: int = 1) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotReadyError(SekishoError):
    code = "not_ready"
    status = 503
    next_step = "try again; `/readyz` and `pdp doctor` say what is missing"


class RecordFailedError(NotReadyError):
    code = "record_failed"
    next_step = "try again; the decision log cannot be written, see `pdp doctor`"


class CopyUnavailableError(NotReadyError):
    """`fault`: a short word for status and metrics, such as the store's own code."""

    code = "copy_unavailable"
    next_step = "nothing is lost: it is tried again; `pdp audit publish --status` says since when it fails"

    def __init__(self, message: str, *, fault: str = "unknown", next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.fault = fault


class RecordDamagedError(SekishoError):
    code = "record_damaged"
    next_step = "keep the file as it is; `pdp audit verify` says which lines are damaged"


class BundleError(SekishoError):
    """A bundle that must not be activated. `where` is `file:line:column` or the file, where known."""

    code = "bundle_refused"
    next_step = "correct the bundle and check it again with `pdp bundle check`"

    def __init__(self, message: str, *, where: str | None = None, next_step: str | None = None) -> None:
        super().__init__(f"{where}: {message}" if where else message, next_step=next_step)
        self.where = where


class SpaceError(BundleError):
    """What a bundle decides cannot be described exactly: `where` reads something that cannot be counted out."""

    code = "space_refused"
    next_step = "see docs/decision-space.md for what a rule may do; the policy itself is not affected"


class ExportError(BundleError):
    """Rules that must not be exported: an id is missing, or they would allow what the policy denies."""

    code = "export_refused"
    next_step = "see docs/export.md; nothing was written or changed"


class EngineError(SekishoError):
    code = "engine_error"
    next_step = "look up the decision id in the decision log; the deny stands"


class EngineTimeoutError(EngineError):
    code = "engine_timeout"


class EngineDiedError(EngineError):
    code = "engine_died"


class EngineSupersededError(EngineError):
    code = "engine_superseded"


class DirectoryError(SekishoError):
    code = "directory_error"
    next_step = "see `pdp directory status`"


class ImportRefusedError(DirectoryError):
    """Nothing was imported. `faults` lists every row that is wrong, not only the first."""

    code = "import_refused"
    status = 400
    next_step = "correct the rows that are named and import the file again"

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class ConnectorError(SekishoError):
    """A source of facts did not answer, refused us, or said what cannot be. Nothing of its run counts.

    `fault`: a short word that stands in the source's health and in metrics (`unreachable`, `timeout`, `refused`,
    `throttled`, `malformed`, `inconsistent`, `failed`). `retry_after_s`: not before this many seconds, where
    the source said so.
    """

    code = "connector_failed"
    next_step = "`pdp directory status` says since when; see the source's own status and our log"

    def __init__(
        self, message: str, *, fault: str = "failed", retry_after_s: float | None = None, next_step: str | None = None
    ) -> None:
        super().__init__(message, next_step=next_step)
        self.fault = fault
        self.retry_after_s = retry_after_s


class ScenarioError(SekishoError):
    code = "scenario_refused"
    status = 400
    next_step = "correct the scenario file; its format is in docs/scenarios.md"


class SettingsError(SekishoError):
    code = "bad_settings"
    next_step = "correct `pdp.toml` or the `PDP_*` environment variables"


class WorkerNameInUseError(SettingsError):
    code = "worker_name_in_use"
    next_step = "give each process its own worker name, or end the other one"

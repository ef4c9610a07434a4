"""A bundle as one immutable value, read from a directory.

A bundle directory holds:

- `.manifest`: JSON, OPA's own format (`revision`, `roots`, `rego_version: 1`), with
  `metadata.profile` (`zta` or `plain`), `metadata.entrypoint` (a slash path such as `pdp/decision`) and
  `metadata.ttl_seconds` (how long an answer may be relied on at most; `deny_ttl_seconds` and
  `step_up_ttl_seconds` bound those answers more closely: what a person has just put right should count);
- `**/*.rego`: modules; `_test.rego` files are read apart, and are not evaluated in service;
- `data/*.yaml`, `data/*.yml`, `data/*.json`: each merges into the root of `data`, as
  `opa test rules data` merges them too;
- `capabilities.json`: what the modules may call (see `pdp.bundle.capabilities`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from pdp.bundle.annotations import Reason, read_reasons
from pdp.errors import BadRequestError, BundleError
from pdp.model.decision import Outcome
from pdp.plain_yaml import load_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

Profile = Literal["zta", "plain"]

MAX_FILE_BYTES: Final = 16 * 1024 * 1024  # a policy file beyond this is a mistake, not a policy
MAX_FILES: Final = 2_000
DEFAULT_TTL_S: Final = 300
MANIFEST: Final = ".manifest"
CAPABILITIES: Final = "capabilities.json"
_DATA_ENDINGS: Final = (".yaml", ".yml", ".json")
MAX_TTL_S: Final = 24 * 3600


@dataclass(frozen=True)
class Bundle:
    """Everything that decides. `digest` names it: equal digests give equal decisions.

    `modules` and `tests` map a path relative to the bundle to Rego text; `data` is the root document.
    """

    revision: str
    digest: str
    profile: Profile
    entrypoint: str
    ttl_s: int
    modules: Mapping[str, str]
    data: Mapping[str, Any]
    tests: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    capabilities: Mapping[str, Any] = field(default_factory=dict)
    deny_ttl_s: int | None = None  # None: as `ttl_s`
    step_up_ttl_s: int | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)  # as it was read

    def ttl(self, outcome: Outcome) -> timedelta:
        """How long an answer with this outcome may be relied on at most."""
        return self._ttls[outcome]

    @cached_property
    def _ttls(self) -> Mapping[Outcome, timedelta]:
        own = {Outcome.DENY: self.deny_ttl_s, Outcome.STEP_UP: self.step_up_ttl_s}
        return {outcome: timedelta(seconds=own.get(outcome) or self.ttl_s) for outcome in Outcome}

    @property
    def canonical(self) -> bytes:
        """Everything that can change a decision, as the text that `digest` is the SHA-256 of."""
        return _canonical(self.manifest, self.modules, self.data)

    @property
    def query(self) -> str:
        """The entry point as a Rego reference, for example `data.pdp.decision`."""
        return "data." + self.entrypoint.replace("/", ".")


def read_bundle(directory: Path) -> Bundle:
    """Read a bundle from disk. Raises BundleError naming the file for anything that is not as it should be."""
    return bundle_of_files(read_files(directory))


def read_files(directory: Path, *, also: Callable[[str], bool] = lambda _: False) -> dict[str, str]:
    """The texts that make a bundle, by their path below the directory; `also` says which others to read.

    Raises BundleError as `read_bundle`.
    """
    if not directory.is_dir():
        raise BundleError(f"`{directory}` is not a directory")
    paths = {p.relative_to(directory).as_posix(): p for p in directory.rglob("*") if p.is_file()}
    shown = {name: path for name, path in paths.items() if name == MANIFEST or not _hidden(name)}
    if len(shown) > MAX_FILES:
        raise BundleError(f"more than {MAX_FILES} files")
    return {name: _text(path, name) for name, path in sorted(shown.items()) if makes_bundle(name) or also(name)}


def makes_bundle(name: str) -> bool:
    """Whether a file of this path is read as a part of the bundle."""
    return (
        name in (MANIFEST, CAPABILITIES)
        or name.endswith(".rego")
        or (name.startswith("data/") and name.endswith(_DATA_ENDINGS))
    )


def bundle_of_files(files: Mapping[str, str]) -> Bundle:
    """The bundle that these texts make, by their paths; others are passed over. Raises BundleError as `read_bundle`."""
    manifest = _manifest(files)
    modules: dict[str, str] = {}
    tests: dict[str, str] = {}
    data: dict[str, Any] = {}
    for name, text in sorted(files.items()):
        if name.endswith(".rego"):
            (tests if name.endswith("_test.rego") else modules)[name] = text
        elif name.startswith("data/") and name.endswith(_DATA_ENDINGS):
            _merge(data, _document(text, name), name)
    if not modules:
        raise BundleError("there is no .rego file")
    capabilities = _capabilities(files)
    return make_bundle(manifest=manifest, modules=modules, tests=tests, data=data, capabilities=capabilities)


def make_bundle(
    *,
    manifest: Mapping[str, Any],
    modules: Mapping[str, str],
    data: Mapping[str, Any],
    tests: Mapping[str, str] | None = None,
    capabilities: Mapping[str, Any] | None = None,
) -> Bundle:
    """A bundle from its parts, with its digest. Raises BundleError where the manifest is not usable."""
    metadata = manifest.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    profile = metadata.get("profile", "plain")
    if profile not in ("zta", "plain"):
        raise BundleError(f"`metadata.profile` must be zta or plain, not `{profile}`", where=".manifest")
    entrypoint = metadata.get("entrypoint")
    if not isinstance(entrypoint, str) or not all(part.isidentifier() for part in entrypoint.split("/")):
        raise BundleError("`metadata.entrypoint` must be a path such as `pdp/decision`", where=".manifest")
    ttl_s = _seconds(metadata, "ttl_seconds", DEFAULT_TTL_S)
    revision = manifest.get("revision")
    if not isinstance(revision, str) or not revision:
        raise BundleError("`revision` must be a text that names this version", where=".manifest")
    return Bundle(
        revision=revision,
        digest=hashlib.sha256(_canonical(manifest, modules, data)).hexdigest(),
        profile=cast("Profile", profile),
        entrypoint=entrypoint,
        ttl_s=ttl_s,
        deny_ttl_s=_seconds(metadata, "deny_ttl_seconds", ttl_s, most=ttl_s),
        step_up_ttl_s=_seconds(metadata, "step_up_ttl_seconds", ttl_s, most=ttl_s),
        modules=dict(modules),
        data=dict(data),
        tests=dict(tests or {}),
        reasons=read_reasons(modules),
        capabilities=dict(capabilities or {}),
        manifest=dict(manifest),
    )


def _seconds(metadata: Mapping[str, Any], name: str, default: int, *, most: int = MAX_TTL_S) -> int:
    seconds = metadata.get(name, default)
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= most:
        raise BundleError(f"`metadata.{name}` must be 1 to {most}", where=".manifest")
    return seconds


def bundle_of_canonical(text: bytes) -> Bundle:
    """A bundle from its canonical text alone: what decides, without its tests and its list of capabilities.

    Raises BundleError for any other text.
    """
    try:
        parts = _json(text.decode())
    except ValueError as fault:
        raise BundleError(f"not the text of a bundle: {fault}") from None
    if not isinstance(parts, dict) or set(parts) != {"manifest", "modules", "data"}:
        raise BundleError("not the text of a bundle")
    manifest, modules, data = parts["manifest"], parts["modules"], parts["data"]
    if not all(isinstance(part, dict) for part in (manifest, modules, data)):
        raise BundleError("not the text of a bundle")
    if not all(isinstance(module, str) for module in modules.values()):
        raise BundleError("not the text of a bundle")
    return make_bundle(manifest=manifest, modules=modules, data=data)


def _canonical(manifest: Mapping[str, Any], modules: Mapping[str, str], data: Mapping[str, Any]) -> bytes:
    return json.dumps(
        {"manifest": manifest, "modules": modules, "data": data},
        sort_keys=True,
        ensure_ascii=False,
        separators=(",", ":"),
        allow_nan=False,
    ).encode()


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _manifest(files: Mapping[str, str]) -> dict[str, Any]:
    if MANIFEST not in files:
        raise BundleError("the file is missing", where=MANIFEST)
    try:
        manifest = _json(files[MANIFEST])
    except ValueError as fault:
        raise BundleError(f"not JSON: {fault}", where=MANIFEST) from None
    if not isinstance(manifest, dict):
        raise BundleError("must be a JSON object", where=MANIFEST)
    return manifest


def _capabilities(files: Mapping[str, str]) -> dict[str, Any]:
    if CAPABILITIES not in files:
        return {}
    document = _document(files[CAPABILITIES], CAPABILITIES)
    if not isinstance(document, dict):
        raise BundleError("must be a JSON object", where=CAPABILITIES)
    return document


def _text(path: Path, name: str) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise BundleError(f"larger than {MAX_FILE_BYTES} bytes", where=name)
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as fault:
        raise BundleError(f"not UTF-8 at byte {fault.start}", where=name) from None


def _document(text: str, name: str) -> Any:
    try:
        document = _json(text) if name.endswith(".json") else load_one(text)
        json.dumps(document, allow_nan=False).encode()  # what JSON cannot say, no engine can be told
    except (ValueError, BadRequestError, RecursionError) as fault:
        raise BundleError(str(fault), where=name) from None
    return document


def _merge(into: dict[str, Any], document: Any, name: str, at: str = "") -> None:
    """Deep-merge objects; two files that set one value are a conflict, as in OPA."""
    if not isinstance(document, dict):
        raise BundleError("must be an object of keys", where=name)
    for key, value in document.items():
        if not isinstance(key, str):
            raise BundleError(f"the key `{at}{key}` must be a text", where=name)
        if key not in into:
            into[key] = value
        elif isinstance(into[key], dict) and isinstance(value, dict):
            _merge(into[key], value, name, f"{at}{key}.")
        else:
            raise BundleError(f"`{at}{key}` is set by another file too", where=name)


def _json(text: str) -> Any:
    """JSON in which no key stands twice, no number is NaN, and the depth is bounded. Raises ValueError."""
    try:
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for at, (key, _) in enumerate(pairs) if any(key == other for other, _ in pairs[:at]))
        raise ValueError(f"the key `{twice}` stands twice")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f"`{text}` is no number of JSON")

"""Every fault of a draft as it stands, with its file, line and column: for the editor, while somebody writes.

All files are looked at even where they make no bundle yet: one YAML file that cannot be read does not hide what is
wrong with the rules.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from pdp.bundle.bundle import MANIFEST, bundle_of_files
from pdp.bundle.fault import Fault, fault_at
from pdp.engine.regorus import RegorusEngine
from pdp.engine.syntax import parse_modules
from pdp.errors import BadRequestError, BundleError
from pdp.gates.bundle_faults import revision_faults, unreadable
from pdp.gates.gates import MISREAD_PLACE, read_stories
from pdp.gates.proving import CONFIRM_DEADLINE
from pdp.revisions.files import SCENARIOS, bundle_of
from pdp.scenario.files import Misread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pdp.bundle.bundle import Bundle

MAX_TOLD: Final = 200  # faults that are told; the rest is counted
_UNFINISHED: Final = tuple(".=:<>!&|+-*/%")
# PyYAML, `pdp.plain_yaml` and `json` each say where in the file it is.
_PLACE: Final = re.compile(r"line (?P<line>\d{1,7}),? column (?P<column>\d{1,7})")


async def faults_report(files: Mapping[str, str]) -> dict[str, Any]:
    """`{"ok", "count", "faults": [{file, line, column, code, en, ja}]}`. Raises EngineError."""
    faults, bundle = _bundle_faults(files)
    faults += _story_faults(files)
    if bundle is not None and not faults:
        faults = await _loading_faults(bundle)
    faults = [_nearer(fault, files.get(fault.file, "")) for fault in faults]
    told = sorted({_key(fault): fault for fault in faults}.items())
    return {
        "ok": not told,
        "count": len(told),
        "faults": [_told(fault) for _, fault in told[:MAX_TOLD]],
    }


def _bundle_faults(files: Mapping[str, str]) -> tuple[list[Fault], Bundle | None]:
    try:
        bundle = bundle_of_files(files)
        bundle_of(files)
    except BundleError as fault:
        return [_placed(unreadable(fault)), *_syntax_faults(files)], None
    except BadRequestError as fault:
        return [Fault(MANIFEST, 0, 0, fault.code, fault.message, f"読み込めない: {fault.message}")], None
    except (ValueError, RecursionError) as fault:  # half a character in a manifest, say: JSON can spell it
        why = type(fault).__name__
        return [Fault(MANIFEST, 0, 0, "bad_request", f"no bundle: {why}", f"読み込めない: {why}")], None
    return [_placed(fault) for fault in revision_faults(bundle)], bundle


def _syntax_faults(files: Mapping[str, str]) -> Iterator[Fault]:
    """What can be said of rules alone."""
    _, broken = parse_modules({name: text for name, text in files.items() if name.endswith(".rego")})
    for one in broken:
        yield fault_at(one.name, (one.line, one.column), "syntax_error", one.message)


def _story_faults(files: Mapping[str, str]) -> list[Fault]:
    """Scenario files that cannot be read. Those that fail are the tests' matter."""
    stories = {name: text for name, text in files.items() if name.startswith(SCENARIOS)}
    found = []
    for one in read_stories(stories) if stories else ():
        if isinstance(one, Misread):
            place = MISREAD_PLACE.fullmatch(one.where)
            file = one.where if place is None else place["file"]
            japanese = f"シナリオを読めない: {one.fault}"
            found.append(_placed(Fault(file, 0, 0, "scenario_unreadable", one.fault, japanese)))
    return found


async def _loading_faults(bundle: Bundle) -> list[Fault]:
    """What shows only when it is loaded: a variable that nothing binds, say."""
    engine = RegorusEngine(CONFIRM_DEADLINE, 1)
    try:
        await engine.activate(bundle)
    except BundleError as fault:
        return [_placed(unreadable(fault))]
    finally:
        await engine.close()
    return []


def _placed(fault: Fault) -> Fault:
    """With the place that its sentence names, where it has no other."""
    found = None if fault.line else _PLACE.search(fault.message_en)
    return fault if found is None else replace(fault, line=int(found["line"]), column=int(found["column"]))


def _nearer(fault: Fault, text: str) -> Fault:
    """Where a line stops in the middle of something, the parser complains of the next: people look for it there."""
    lines = text.split("\n")[: fault.line]
    if fault.code != "syntax_error" or not lines or lines[-1][: max(fault.column - 1, 0)].strip():
        return fault
    above = next((at for at in range(len(lines) - 2, -1, -1) if lines[at].strip()), None)
    if above is None or not lines[above].rstrip().endswith(_UNFINISHED):
        return fault
    return replace(fault, line=above + 1, column=len(lines[above].rstrip()) + 1)


def _key(fault: Fault) -> tuple[str, int, int, str, str]:
    return fault.file, fault.line, fault.column, fault.code, fault.message_en


def _told(fault: Fault) -> dict[str, Any]:
    return {
        "file": fault.file,
        "line": fault.line,
        "column": fault.column,
        "code": fault.code,
        "en": fault.message_en,
        "ja": fault.message_ja,
    }

"""The files that hold scenarios: YAML of one or more documents, and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pdp.errors import BadRequestError, ScenarioError
from pdp.plain_yaml import load_documents
from pdp.scenario.format import Scenario, checked, without_nulls
from pdp.scenario.from_table import from_rows
from pdp.scenario.sheet import MAX_BYTES, read_table
from pdp.scenario.table import TableError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FILE_BYTES: Final = 4 * 1024 * 1024  # some ten thousand stories


@dataclass(frozen=True, slots=True)
class Misread:
    """A document that is no scenario, or a file that is no YAML; it counts as a failed scenario."""

    id: str
    where: str
    fault: str


def read_scenarios(paths: list[Path]) -> list[Scenario]:
    """As `read_all`, for those who want all of them or none: raises ScenarioError for the first that is misread."""
    stories: list[Scenario] = []
    for one in read_all(paths):
        if isinstance(one, Misread):
            raise ScenarioError(f"{one.where} (`{one.id}`): {one.fault}")
        stories.append(one)
    return stories


def read_all(paths: list[Path]) -> list[Scenario | Misread]:
    """Every scenario in these files (YAML, or tables: `.csv`, `.xlsx`), and in the `.yaml` and `.yml` files below these
    directories, in order.

    What cannot be read stands in the list as `Misread`, so that one mistake does not hide the other
    stories. Raises ScenarioError where a path does not exist, and where there is nothing to run.
    """
    found: list[Scenario | Misread] = []
    for path in _files(paths):
        if path.suffix.lower() in (".csv", ".xlsx"):
            found += _from_table(path)
            continue
        try:
            documents = load_documents(_text(path), aliases=True)
        except (OSError, UnicodeDecodeError, BadRequestError) as fault:
            found.append(Misread("?", str(path), str(fault)))
            continue
        found += [
            _read(document, f"{path}: document {number}")
            for number, document in enumerate(documents, start=1)
            if document is not None
        ]
    if not found:
        raise ScenarioError("no scenario was found")
    return found


def _from_table(path: Path) -> list[Scenario | Misread]:
    try:
        with path.open("rb") as file:
            told = from_rows(read_table(path.name, file.read(MAX_BYTES + 1)))
    except TableError as fault:
        return [Misread("?", str(path), str(one)) for one in fault.faults]
    except OSError as fault:
        return [Misread("?", str(path), str(fault.strerror))]
    found: list[Scenario | Misread] = []
    for one in told:
        read = _read(one.document, f"{path}: row {one.row}")
        found.append(read if isinstance(read, Scenario) else Misread(read.id, str(path), str(one.fault(read.fault))))
    return found


def documents_in(paths: list[Path]) -> list[dict[str, Any]]:
    """The scenarios of these files as plain documents, what they leave out left out.

    Raises ScenarioError for the first that is misread.
    """
    found: list[dict[str, Any]] = []
    for path in _files(paths):
        try:
            documents = load_documents(_text(path), aliases=True)
        except (OSError, UnicodeDecodeError, BadRequestError) as fault:
            raise ScenarioError(f"{path}: {fault}") from None
        for number, document in enumerate(documents, start=1):
            if document is not None:
                plain = without_nulls(document)
                try:
                    checked(plain)
                except ScenarioError as fault:
                    raise ScenarioError(f"{path}: document {number}: {fault.message}") from None
                found.append(plain)
    return found


def scenario_of(text: str, where: str = "text") -> Scenario:
    """The one scenario of a text. Raises ScenarioError."""
    try:
        documents = [document for document in load_documents(text, aliases=True) if document is not None]
    except BadRequestError as fault:
        raise ScenarioError(str(fault)) from None
    if len(documents) != 1:
        raise ScenarioError("one scenario is expected")
    return checked(documents[0], where)


def _text(path: Path) -> str:
    if path.stat().st_size > _MAX_FILE_BYTES:
        raise BadRequestError(f"larger than {_MAX_FILE_BYTES} bytes")
    return path.read_text(encoding="utf-8")


def _read(document: Any, where: str) -> Scenario | Misread:
    try:
        return checked(document, where)
    except ScenarioError as fault:
        name = document.get("id") if isinstance(document, dict) else None
        return Misread(str(name or "?"), where, fault.message)


def _files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ScenarioError(f"{path}: there is no such file or directory")
        found += sorted(p for p in path.rglob("*") if p.suffix in (".yaml", ".yml")) if path.is_dir() else [path]
    return list({file.resolve(): file for file in found}.values())

"""Microsoft's own description of Graph (CSDL), as the outside validator of exported policies.

It refuses properties that a type does not have, words that an enumeration does not have, and values of another kind.
The file stands beside the project (vendor-schemas); without it `schema()` skips the test.
"""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

FILE = Path(__file__).parents[2] / "shared" / "vendor-schemas" / "msgraph_v1_csdl.xml.gz"
_EDM = "{http://docs.oasis-open.org/odata/ns/edm}"
_KINDS: dict[str, type] = {"Edm.String": str, "Edm.Boolean": bool, "Edm.Int32": int, "Edm.DateTimeOffset": str}


class GraphSchema:
    """Types by name: properties of structures with those of their bases, members of enumerations."""

    def __init__(self, document: ET.Element) -> None:
        self._types: dict[str, ET.Element] = {}
        for schema in document.iter(f"{_EDM}Schema"):
            for kind in ("EnumType", "ComplexType", "EntityType"):
                for one in schema.findall(f"{_EDM}{kind}"):
                    self._types[f"{schema.get('Alias') or schema.get('Namespace')}.{one.get('Name')}"] = one

    def faults(self, name: str, value: Any, where: str = "") -> list[str]:
        """What is wrong with a value of this type, each with its place."""
        if name.startswith("Collection("):
            if not isinstance(value, list):
                return [f"{where}: no list"]
            inner = name.removeprefix("Collection(").removesuffix(")")
            return [fault for at, one in enumerate(value) for fault in self.faults(inner, one, f"{where}[{at}]")]
        if name in _KINDS:
            return [] if type(value) is _KINDS[name] else [f"{where}: no {name}"]
        declared = self._types[name]
        if declared.tag == f"{_EDM}EnumType":
            words = {member.get("Name") for member in declared.findall(f"{_EDM}Member")} - {"unknownFutureValue"}
            return [] if value in words else [f"{where}: no {name}"]
        if not isinstance(value, dict):
            return [f"{where}: no object"]
        known = self._properties(name)
        found = [f"{where}/{key}: not known" for key in value if key not in known]
        for key, held in value.items():
            if key in known:
                found += self.faults(known[key], held, f"{where}/{key}")
        return found

    def _properties(self, name: str) -> dict[str, str]:
        declared = self._types[name]
        base = declared.get("BaseType")
        held = {} if base is None else self._properties(base)
        for kind in ("Property", "NavigationProperty"):
            for one in declared.findall(f"{_EDM}{kind}"):
                held[str(one.get("Name"))] = str(one.get("Type"))
        return held


@cache
def _read() -> GraphSchema:
    with gzip.open(FILE) as stream:
        return GraphSchema(ET.parse(stream).getroot())  # the vendor's own file, beside the project


def schema() -> GraphSchema:
    if not FILE.exists():
        pytest.skip("absent: ../shared/vendor-schemas")
    return _read()

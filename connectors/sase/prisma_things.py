"""What an export for Prisma Access wants the tenant to have, and the way back for the interpreter. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from connectors.sase.joined_models import joined_model
from connectors.sase.prisma_mapping import read_mapping
from pdp.delivery.port import Capabilities, Held, Key, Thing, meaning_of
from pdp.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.sase.prisma_mapping import Mapped

RULES: Final = "security-rules"
OBJECTS: Final = (
    "tags", "address-groups", "dynamic-user-groups", "external-dynamic-lists", "hip-objects", "hip-profiles",
    "schedules",
)  # fmt: skip
KINDS: Final = (*OBJECTS, RULES)
_TAGGING: Final = "tagging.json"
_MODEL: Final = "model.json"
_OURS: Final = re.compile(r"zt[.-].*", re.ASCII | re.DOTALL)
_ADDED: Final = frozenset({"id", "snippet", "override_loc", "override_type", "override_id", "policy_type", "position"})
_ANYBODY: Final = frozenset({"source_hip", "destination_hip", "devices"})  # what a rule has that names none of it
_NAMED_TAGS: Final = re.compile(r"'([^']+)'", re.ASCII)
_NAMED_CHECKS: Final = re.compile(r'"([^"]+)"', re.ASCII)
_WORDS: Final = ("description", "comments")
_NEXT: Final = ".next"


def courier(mapping: Mapping[str, Any]) -> PrismaCourier:
    """Raises SettingsError for a mapping that it cannot use."""
    return PrismaCourier(read_mapping(mapping))


class PrismaCourier:
    """The port `Courier`."""

    def __init__(self, mapped: Mapped) -> None:
        self._mapped = mapped

    @property
    def capabilities(self) -> Capabilities:
        """Everything waits in the candidate; what no rule matches is let through within a zone."""
        return Capabilities(staging=True, default_open=True)

    @property
    def rule_folders(self) -> tuple[str, ...]:
        """The folders with a rulebase of ours."""
        return tuple(folder.folder for folder in self._mapped.folders.values())

    @property
    def objects_folder(self) -> str:
        """Where all that the rules name stands."""
        return self._mapped.objects_folder

    def things(self, files: Mapping[str, bytes]) -> tuple[Thing, ...]:
        """As the port says."""
        try:
            held = {kind: json.loads(files[f"{kind}.json"]) for kind in KINDS}
            named = {kind: {one["name"] for one in found} for kind, found in held.items()}
            return tuple(self._thing(kind, one, named) for kind in KINDS for one in held[kind])
        except (KeyError, ValueError, TypeError, AttributeError) as fault:
            raise ExportError(f"not an exported Prisma Access: {type(fault).__name__}") from None

    def files(self, held: Sequence[Held], exports: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
        """As the port says."""
        found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
        for one in held:
            if one.live:
                found[one.thing.key.kind].append(one.thing.body)
        told = {one["name"]: one for files in reversed(exports) for one in json.loads(files[_TAGGING])}
        files = {f"{kind}.json": _encoded(bodies) for kind, bodies in found.items()}
        files[_TAGGING] = _encoded([told[name] for name in sorted(told)])
        return files | {_MODEL: joined_model([one[_MODEL] for one in exports])}

    def stand_in(self, thing: Thing) -> Thing:
        """As the port says."""
        key = msgspec.structs.replace(thing.key, name=thing.key.name + _NEXT)
        return msgspec.structs.replace(thing, key=key, body={**thing.body, "name": key.name})

    def held_of(self, kind: str, document: Mapping[str, Any], named: Mapping[str, set[str]]) -> Held:
        """An object of the tenant as it was sent. `named`: the names of ours, by kind. Raises KeyError, TypeError."""
        live = kind != RULES or document.get("disabled") is not True
        body = {name: value for name, value in document.items() if not _is_added(kind, name, value)}
        return Held(self._thing(kind, body, named), live)

    def is_ours(self, kind: str, document: Mapping[str, Any]) -> bool:
        """By its name and its folder: an inherited rule of another folder is not."""
        folders = self.rule_folders if kind == RULES else (self.objects_folder,)
        name = document.get("name")
        return isinstance(name, str) and _OURS.fullmatch(name) is not None and document.get("folder") in folders

    def _thing(self, kind: str, body: dict[str, Any], named: Mapping[str, set[str]]) -> Thing:
        key = Key(kind, body["folder"], body["name"])
        needs = tuple(
            sorted({Key(of, self.objects_folder, name) for of, name in _references(kind, body) if name in named[of]})
        )
        meaning = meaning_of(body, *_WORDS)
        if kind != RULES:
            return Thing(key, body, "inert", meaning, needs)
        return Thing(key, body, "opens" if body.get("action") == "allow" else "closes", meaning, needs, ordered=True)


def _is_added(kind: str, name: str, value: Any) -> bool:
    """What the vendor says of itself, or of what nobody asked for: we send no member that is false, null or empty."""
    if name in _ADDED or value is None or value is False or value in ([], {}, ""):
        return True
    return kind == RULES and ((name in _ANYBODY and value == ["any"]) or name == "disabled")


def _references(kind: str, body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Kind and name of everything that a body names; names of others are among them."""
    if kind in ("address-groups", "dynamic-user-groups"):
        text = body.get("filter") or body.get("dynamic", {}).get("filter", "")
        yield from (("tags", name) for name in _NAMED_TAGS.findall(text))
    elif kind == "hip-profiles":
        yield from (("hip-objects", name) for name in _NAMED_CHECKS.findall(body.get("match", "")))
    elif kind == RULES:
        for name in body.get("source", []):
            yield from ((of, name) for of in ("address-groups", "external-dynamic-lists"))
        yield from (("dynamic-user-groups", name) for name in body.get("source_user", []))
        yield from (("hip-profiles", name) for name in body.get("source_hip", []))
        if "schedule" in body:
            yield "schedules", body["schedule"]


def _encoded(value: object) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n").encode()

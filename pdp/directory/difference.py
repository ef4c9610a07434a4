"""What an import would change, register by register, as values that a console and a command can show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pdp.directory.registers import REGISTERS, changed_fields
from pdp.directory.runs import Counts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.directory.changes import Change
    from pdp.directory.registers import Register, Registers


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that stays and differs. `fields` are names of the model's attributes (`posts`, `employment`, `class`)."""

    key: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RegisterDifference:
    """Keys in order. `before` counts the rows that the register held."""

    added: tuple[str, ...]
    changed: tuple[Changed, ...]
    removed: tuple[str, ...]
    before: int

    @property
    def counts(self) -> Counts:
        return Counts(len(self.added), len(self.changed), len(self.removed))

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def difference(current: Registers, target: Registers) -> dict[Register, RegisterDifference]:
    """Of every register that differs."""
    found = {register: _of(current.of(register), target.of(register)) for register in REGISTERS}
    return {register: differs for register, differs in found.items() if differs}


def _of(before: Mapping[str, object], after: Mapping[str, object]) -> RegisterDifference:
    changed = (
        Changed(key, changed_fields(before[key], row))
        for key, row in sorted(after.items())
        if key in before and before[key] != row
    )
    return RegisterDifference(
        added=tuple(sorted(after.keys() - before.keys())),
        changed=tuple(changed),
        removed=tuple(sorted(before.keys() - after.keys())),
        before=len(before),
    )


def apply(differs: Mapping[Register, RegisterDifference], current: Registers, target: Registers, into: Change) -> None:
    """Write it. Removals first, then changes, then additions: a certificate may pass from one device to another."""
    for register, part in differs.items():
        held = current.of(register)
        into.remove(register, {key: held[key] for key in part.removed})
    for register, part in differs.items():
        rows = target.of(register)
        into.replace(register, {changed.key: rows[changed.key] for changed in part.changed})
        into.add(register, {key: rows[key] for key in part.added})

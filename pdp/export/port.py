"""What a target of `pdp export` is: it writes files from the rule model, and reads them back as the vendor would.

docs/export.md says how one is written. Targets stand in `connectors/sase`, one module each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from pdp.model.rules import FactValue, RuleModel, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pdp.model.rules import Condition, Profile


class LeftOut(msgspec.Struct, frozen=True):
    """A rule that this target cannot say: what it allows stays denied there."""

    rule: str
    what: str  # the fact or the control that it cannot say, or another word of the target's own
    why: Words
    instead: Words  # what an administrator does about it: keep the callout, use another gateway; never widen


class Exported(msgspec.Struct, frozen=True):
    """`files` by path below the export's folder, each with a final newline where it is text. The same in every run."""

    files: dict[str, bytes]
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[Words, ...] = ()


class Region(Protocol):
    """A set of vectors of facts; or, for one document, whether it is in that set."""

    def __and__(self, other: Any, /) -> Region: ...
    def __or__(self, other: Any, /) -> Region: ...
    def __invert__(self) -> Region: ...


class Sieve(Protocol):
    """What an interpreter is run over: all vectors of one resource at once, or one document. It cannot tell which."""

    @property
    def everything(self) -> Region: ...

    @property
    def nothing(self) -> Region: ...

    def where(self, facts: Sequence[str], test: Callable[..., bool]) -> Region:
        """The vectors for whose values of these facts, in this order, the test is true.

        Numbers come as the names of their pieces (`0-23`), words of lists as true and false. The test is called for
        every combination of values. Raises SpaceError for a fact that the space does not have.
        """
        ...

    def holding(self, conditions: Sequence[Condition]) -> Region:
        """The vectors for which all of these conditions hold."""
        ...

    def members(self, profile: Profile) -> Region:
        """The vectors whose user, device or posture is in a set that this service fills: a group, a tag, a list."""
        ...


class Interpreter(Protocol):
    """The vendor's own reading of exported files, written from the vendor's documents and not from the exporter.

    INVARIANT (from the files alone): what it knows of the rules it has read from the files. From `model.json` it may
    take the meaning of sets that this service fills (`profiles`) and the resources, and nothing else.
    """

    @property
    def given(self) -> Mapping[str, FactValue]:
        """Facts that are what they are at this enforcement point: the controls that it can carry out, say."""
        ...

    def permitted(self, resource: str, sieve: Sieve) -> Region:
        """What the files let through to this resource, by the vendor's rules of order, default and combination."""
        ...

    def unbound(self, resource: str, control: str, value: str | int, sieve: Sieve) -> Region:
        """What may be let through without this control, or with a weaker one than `value` (a longer session, say).

        It may hold what is not let through at all: an interpreter whose files say nothing of a control answers with
        everything where nobody behind the enforcement point carries it out, and with nothing where somebody does.
        """
        ...


class Target(Protocol):
    """One vendor's rules. Made by `target()` of its module, with the mapping of ids that the administrator gives."""

    @property
    def name(self) -> str: ...

    def export(self, model: RuleModel) -> Exported:
        """The files. Raises ExportError for an id that the mapping lacks; never leaves out a condition."""
        ...

    def interpreter(self, files: Mapping[str, bytes]) -> Interpreter:
        """Reads the files as they would arrive at the vendor. Raises ExportError for any other files."""
        ...

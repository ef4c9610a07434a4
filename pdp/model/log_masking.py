"""A masking rule of the decision log: one table `[[log_masking]]` of the settings each."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

Operation = Literal["erase", "pseudonymise", "coarsen"]
Coarse = Literal["network", "hour", "step", "segments"]
_BY: Final = {"step": (1, 1_000_000_000), "segments": (0, 64)}  # what `by` may be, of what needs one


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which records a rule is about. Empty: all."""

    profile: list[Literal["zta", "plain"]] = []
    outcome: list[Literal["allow", "limit", "step_up", "deny"]] = []
    wire: list[str] = []
    caller: list[str] = []


class MaskingRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What becomes of one place of a record. Raises ValueError for what cannot work.

    `pointer` is a JSON pointer (RFC 6901) into the record, where `*` stands for every item of a list. `to` is for
    `coarsen`: an address to its `network` (/24 or /48), a time to its `hour`, a number down to a multiple of `by`
    (`step`), a path to its first `by` segments.
    """

    pointer: Annotated[str, msgspec.Meta(min_length=2, max_length=512, pattern=r"^/")]
    op: Operation
    to: Coarse | None = None
    by: int | None = None
    where: Where = Where()

    def __post_init__(self) -> None:
        if (self.op == "coarsen") != (self.to is not None):
            raise ValueError(f"`{self.pointer}`: `to` belongs to `coarsen`, and `coarsen` needs it")
        least, most = _BY.get(self.to or "", (0, 0))
        if (self.by is not None) != bool(most):
            raise ValueError(f"`{self.pointer}`: `by` belongs to `step` and `segments`, and they need it")
        if self.by is not None and not least <= self.by <= most:
            raise ValueError(f"`{self.pointer}`: `by` must be {least} to {most}")

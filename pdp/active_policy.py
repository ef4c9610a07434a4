"""The policy that decides now, with all that a decision needs of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from pdp.bundle.footprint import WHOLE
from pdp.grace import warned
from pdp.model.decision import Text
from pdp.reasons import Worded, Wording, joined

if TYPE_CHECKING:
    from datetime import datetime

    from pdp.bundle.bundle import Bundle
    from pdp.bundle.footprint import Footprint
    from pdp.facts.reference import Reference
    from pdp.grace import Grace
    from pdp.model.decision import Verdict


@dataclass(frozen=True)
class ActivePolicy:
    """The bundle that decides now. `reference` is there for profile `zta` and only for it.

    `footprint` is what the bundle can see of a document; the whole of it, where nobody looked closer.
    """

    bundle: Bundle
    reference: Reference | None
    footprint: Footprint = WHOLE
    grace: Grace | None = None  # the `warn` state: what it newly refuses stays permitted for a time

    @cached_property
    def wording(self) -> Wording:
        return Wording(self.bundle.reasons)

    @cached_property
    def strict(self) -> ActivePolicy:
        """The same without its time of warning: one object, as what is remembered goes by the object."""
        return replace(self, grace=None)

    def at(self, now: datetime) -> ActivePolicy:
        """As it is at this instant: a time of warning ends by itself."""
        return self if self.grace is None or now < self.grace.until else self.strict

    def said(self, verdict: Verdict) -> Worded:
        """The texts of an answer; one that is held over says what comes, and who can put that right."""
        if self.grace is None or (held := warned(verdict)) is None:
            return self.wording.of(verdict.reasons)
        now, then = self.grace.wording.of(verdict.reasons), self.wording.of(tuple(held["reasons"]))
        user, admin = Text(**held["notice"]), then.admin
        return Worded(joined((now.user, user)), joined((now.admin, admin)), then.fix)

    @property
    def sight(self) -> Footprint:
        """What a verdict can depend on: in a time of warning, what either policy reads, and what is never held over."""
        return self.footprint if self.grace is None else self.footprint.together(self.grace.sight)

    @property
    def mode(self) -> str:
        """What else it depends on, for the key of the cache."""
        return "" if self.grace is None else self.grace.mode

"""One rule model for rules of several exports: a tenant in the middle of a delivery has some of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pdp.errors import ExportError
from pdp.model.rules import decode_model, encode

if TYPE_CHECKING:
    from collections.abc import Sequence


def joined_model(texts: Sequence[bytes]) -> bytes:
    """The first of these models (the newest), with the profiles and systems that only an older one has.

    Profiles are named by their contents, so one name means one thing in all of them. Raises ExportError.
    """
    if not texts:
        raise ExportError("there is no export to read the meaning of profiles from")
    try:
        models = [decode_model(text) for text in texts]
    except msgspec.DecodeError:
        raise ExportError("the rule model of an export cannot be read") from None
    profiles = {one.id: one for model in reversed(models) for one in model.profiles}
    resources = {one.id: one for model in reversed(models) for one in model.resources}
    ordered = (
        tuple(profiles[name] for name in sorted(profiles)),
        tuple(resources[name] for name in sorted(resources)),
    )
    return encode(msgspec.structs.replace(models[0], profiles=ordered[0], resources=ordered[1]))

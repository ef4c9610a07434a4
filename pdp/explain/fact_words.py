"""Facts of a decision space in the two languages: their names, and their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pdp.explain.fact_table import BY_PATH
from pdp.model.decision import Text
from pdp.model.words import words_for
from pdp.space.facts import DEPARTMENTS, NOBODY, ORGANISATION, OTHER, split_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pdp.space.facts import Value

_NAMES: Final[Mapping[str, Text]] = {
    DEPARTMENTS: Text("利用者の所属とシステムの所属", "the user's departments and the system's"),
    ORGANISATION: Text("利用者の団体とデータの団体", "the user's organisation and the data's"),
}
_VALUES: Final[Mapping[str, Mapping[str, Text]]] = {
    DEPARTMENTS: {
        "open": Text("全所属に開放", "open to every department"),
        "open-nobody": Text("全所属に開放（利用者に所属なし）", "open to every department, the user has none"),
        "first": Text("主たる所属が一致", "the main department is named"),
        "later": Text("併任先が一致", "a concurrent department is named"),
        "none": Text("一致なし", "none of theirs is named"),
        NOBODY: Text("利用者に所属なし", "the user has none"),
    },
    ORGANISATION: {
        "open": Text("団体の指定なし", "no organisation is named"),
        "named": Text("一致", "named"),
        "none": Text("一致なし", "not named"),
    },
}


def fact_words(name: str) -> Text:
    """What a fact of the space is called: `subject.roles∋data_user` is 役割 data_user."""
    place, word = split_name(name)
    if place in _NAMES:
        return _NAMES[place]
    label = BY_PATH[place].label if place in BY_PATH else Text(place, place)
    if word is None:
        return label
    shown = words_for(place, word)
    return Text(f"{label.ja}「{shown.ja}」", f"{label.en}: {shown.en}")


def value_words(name: str, value: Value) -> Text:
    """What a value of that fact is called."""
    place, word = split_name(name)
    if place in _VALUES:
        return _VALUES[place].get(str(value)) or Text(str(value), str(value))
    if word is not None:
        return Text("あり", "yes") if value is True else Text("なし", "no")
    if value == OTHER:
        return Text("その他", "any other")
    return words_for(place, value)

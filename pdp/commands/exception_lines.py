"""How exceptions look at a terminal: Japanese first, English second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pdp.model.decision import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pdp.commands.terminal import Terminal

KINDS: Final[Mapping[str, Text]] = {
    "disaster": Text("災害時運用", "disaster"),
    "work": Text("作業申請", "work permit"),
    "device": Text("端末の利用許可", "device permit"),
}
STATES: Final[Mapping[str, Text]] = {
    "asked": Text("申請中", "asked for"),
    "granted": Text("承認済み", "granted"),
    "refused": Text("却下", "refused"),
    "withdrawn": Text("取下げ", "withdrawn"),
    "ended": Text("終了", "ended"),
}
_IN_FORCE: Final = Text("有効", "in force")
_WORDS: Final[Mapping[str, Text]] = {
    "users": Text("利用者", "people"),
    "devices": Text("端末", "terminals"),
    "resources": Text("システム", "systems"),
}


def table(terminal: Terminal, found: Sequence[Mapping[str, Any]]) -> None:
    heads = (
        ("番号", "id"), ("種類", "kind"), ("状態", "state"), ("開始", "from"), ("終了", "until"),
        ("申請者", "asked by"), ("対象", "for"), ("理由", "reason"),
    )  # fmt: skip
    terminal.table(
        [terminal.pick(ja, en) for ja, en in heads],
        [
            [
                str(one["id"]),
                terminal.text(KINDS[one["kind"]]),
                _state(terminal, one),
                one["starts"],
                one["ends"],
                one["asked_by"],
                " ".join(name for word in _WORDS for name in one[word]),
                one["reason"],
            ]
            for one in found
        ],
    )


def say(terminal: Terminal, one: Mapping[str, Any]) -> None:
    """One of them, line by line."""
    kind, state = terminal.text(KINDS[one["kind"]]), _state(terminal, one)
    terminal.say(terminal.pick(f"例外措置 {one['id']}（{kind}）: {state}", f"exception {one['id']} ({kind}): {state}"))
    terminal.say(f"  {one['starts']} – {one['ends']}")
    for word, text in _WORDS.items():
        if one[word]:
            terminal.say(f"  {terminal.text(text)}: {' '.join(one[word])}")
    terminal.say(f"  {one['asked_by']}: {one['reason']}")
    if one.get("decided_by"):
        terminal.say(f"  {one['decided_by']}: {one['note']}")
    if one.get("ended_by"):
        terminal.say(f"  {one['ended_by']}: {one['note']}")


def _state(terminal: Terminal, one: Mapping[str, Any]) -> str:
    return terminal.text(_IN_FORCE if one.get("in_force") else STATES[one["state"]])

"""What is different between two texts, line by line, in bounded time. Pure.

Source: E. Myers, "An O(ND) difference algorithm and its variations", Algorithmica 1 (1986): the greedy form. Its work
grows with the square of the differences and is counted in steps; where the steps are used up, everything between the
common beginning and the common end is told as replaced. Attack: difflib takes minutes for two files of a megabyte
whose lines repeat, in a thread that other requests wait for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

STEPS: Final = 1_000_000  # half a second of a core, for all files together; a hundred changed lines take 5,000
CONTEXT: Final = 3  # lines around a change, as everywhere
_MOST_CHANGES: Final = 1_000  # of one file: what is remembered grows with their square

Pair = tuple[int, int]  # a line of the one text, and the line of the other that is the same


@dataclass
class Steps:
    """How much work may still be done. Shared by all files of one difference."""

    left: int = STEPS

    def take(self, steps: int) -> bool:
        self.left -= steps
        return self.left >= 0


def unified(before: str, after: str, name: str, steps: Steps) -> tuple[str, bool]:
    """(a unified diff of the two, whether it is the shortest one). Empty where they are the same.

    Without the shortest one, it is right all the same: it says too much.
    """
    old, new = _lines(before), _lines(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    pairs = _alike(old[head : len(old) - tail], new[head : len(new) - tail], steps)
    same = [(at, at) for at in range(head)]
    same += [(head + a, head + b) for a, b in pairs or ()]
    same += [(len(old) - at, len(new) - at) for at in range(tail, 0, -1)]
    text = "".join(_hunks(old, new, list(_changes(same, len(old), len(new)))))
    return (f"--- a/{name}\n+++ b/{name}\n{text}" if text else ""), pairs is not None


def _lines(text: str) -> list[str]:
    """With their line breaks. Only a newline breaks a line: a form feed in a text is a part of it."""
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines they begin with alike."""
    most = min(len(one), len(other))
    return next((at for at in range(most) if one[at] != other[at]), most)


def _alike(old: Sequence[str], new: Sequence[str], steps: Steps) -> list[Pair] | None:
    """The lines that stay, of a shortest edit; None where it would take too many steps."""
    ends: dict[int, int] = {1: 0}  # by diagonal: how far in `old` the furthest path has come
    past: list[dict[int, int]] = []
    for changes in range(min(len(old) + len(new), _MOST_CHANGES) + 1):
        if not steps.take(changes + 1):
            return None
        past.append(dict(ends))
        for diagonal in range(-changes, changes + 1, 2):
            down = diagonal == -changes or (diagonal != changes and ends[diagonal - 1] < ends[diagonal + 1])
            x = ends[diagonal + 1] if down else ends[diagonal - 1] + 1
            y = x - diagonal
            while x < len(old) and y < len(new) and old[x] == new[y]:
                x, y = x + 1, y + 1
            ends[diagonal] = x
            if x >= len(old) and y >= len(new):
                return _walked_back(past, len(old), len(new))
    return None


def _walked_back(past: list[dict[int, int]], x: int, y: int) -> list[Pair]:
    found: list[Pair] = []
    for changes in range(len(past) - 1, -1, -1):
        ends, diagonal = past[changes], x - y
        down = diagonal == -changes or (diagonal != changes and ends[diagonal - 1] < ends[diagonal + 1])
        before = diagonal + 1 if down else diagonal - 1
        old_x = ends[before]
        old_y = old_x - before
        while x > old_x and y > old_y and x > 0 and y > 0:
            x, y = x - 1, y - 1
            found.append((x, y))
        x, y = old_x, old_y
    return found[::-1]


def _changes(same: Sequence[Pair], old: int, new: int) -> Iterator[tuple[range, range]]:
    """What lies between the lines that stay: lines that go, and lines that come in their place."""
    x = y = 0
    for a, b in (*same, (old, new)):
        if a > x or b > y:
            yield range(x, a), range(y, b)
        x, y = a + 1, b + 1


def _hunks(old: Sequence[str], new: Sequence[str], changes: Sequence[tuple[range, range]]) -> Iterator[str]:
    group: list[tuple[range, range]] = []
    for change in changes:
        if group and change[0].start - group[-1][0].stop > 2 * CONTEXT:
            yield from _hunk(old, new, group)
            group = []
        group.append(change)
    if group:
        yield from _hunk(old, new, group)


def _hunk(old: Sequence[str], new: Sequence[str], group: Sequence[tuple[range, range]]) -> Iterator[str]:
    (first, first_new), (last, last_new) = group[0], group[-1]
    before = min(CONTEXT, first.start)
    after = min(CONTEXT, len(old) - last.stop)
    old_range = range(first.start - before, last.stop + after)
    new_range = range(first_new.start - before, last_new.stop + after)
    yield f"@@ -{_numbers(old_range)} +{_numbers(new_range)} @@\n"
    at = old_range.start
    for gone, come in group:
        yield from (_line(" ", old[n]) for n in range(at, gone.start))
        yield from (_line("-", old[n]) for n in gone)
        yield from (_line("+", new[n]) for n in come)
        at = gone.stop
    yield from (_line(" ", old[n]) for n in range(at, old_range.stop))


def _numbers(lines: range) -> str:
    """As `diff -u` writes them: an empty range stands after the line before it."""
    if len(lines) == 1:
        return str(lines.start + 1)
    return f"{lines.start + (1 if len(lines) else 0)},{len(lines)}"


def _line(sign: str, text: str) -> str:
    return f"{sign}{text}" if text.endswith("\n") else f"{sign}{text}\n\\ No newline at end of file\n"

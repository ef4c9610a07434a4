"""Plots as SVG text: drawn here, so that a page needs no script to show them. Pure.

A plot is a picture with a name; the numbers stand in a table beside it. Colours are classes of the style sheet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OUTCOMES: Final = ("allow", "limit", "step_up", "deny")
_WIDTH: Final = 720
_LEFT: Final = 48  # for the scale
_RIGHT: Final = 18  # for the half of the last label that stands beyond its point
_BOTTOM: Final = 22
_TOP: Final = 8
_ROW: Final = 26
_NAMED: Final = 170  # for names beside bars
_NAME_CHARS: Final = 14


class Column(NamedTuple):
    """One bar of a plot over time. `label` stands below it where there is room, `tip` where somebody points."""

    label: str
    parts: Mapping[str, int]
    tip: str


def columns(rows: Sequence[Column], name: str, *, parts: Sequence[str] = OUTCOMES, height: int = 180) -> Markup:
    """Stacked columns; `parts` from the bottom up, each with the class `o-PART`."""
    most = _ceiling(max((sum(row.parts.values()) for row in rows), default=0))
    plot, wide = height - _TOP - _BOTTOM, _WIDTH - _LEFT
    step = wide / max(1, len(rows))
    every = max(1, round(len(rows) / 12))
    drawn = [_grid(most, plot)]
    for number, row in enumerate(rows):
        x, y = _LEFT + number * step, float(_TOP + plot)
        drawn.append(f"<g><title>{escape(row.tip)}</title>")
        drawn.append(f'<rect class="hit" x="{x:.1f}" y="{_TOP}" width="{step:.1f}" height="{plot}"/>')
        for part in parts:
            tall = row.parts.get(part, 0) / most * plot
            if tall:
                y -= tall
                drawn.append(
                    f'<rect class="o-{escape(part)}" x="{x + step * 0.12:.1f}" y="{y:.2f}"'
                    f' width="{step * 0.76:.1f}" height="{tall:.2f}"/>'
                )
        drawn.append("</g>")
        if number % every == 0:
            drawn.append(f'<text class="tick" x="{x + step / 2:.1f}" y="{height - 6}">{escape(row.label)}</text>')
    return _svg("".join(drawn), name, height)


def bars(rows: Sequence[tuple[str, int]], name: str, *, part: str = "deny") -> Markup:
    """Lying bars, one below the other, each with its number. Names stand in the table beside it."""
    most = max((count for _, count in rows), default=0) or 1
    drawn = []
    for number, (label, count) in enumerate(rows):
        y, wide = number * _ROW, (_WIDTH - 80) * count / most
        drawn.append(f"<g><title>{escape(label)}: {count:,}</title>")
        drawn.append(
            f'<rect class="o-{escape(part)}" x="0" y="{y + 4}" width="{max(2.0, wide):.1f}" height="{_ROW - 8}"/>'
        )
        drawn.append(f'<text class="count" x="{wide + 8:.1f}" y="{y + _ROW - 8}">{count:,}</text></g>')
    return _svg("".join(drawn), name, max(1, len(rows)) * _ROW)


def facing(rows: Sequence[tuple[str, int, int]], name: str) -> Markup:
    """Bars to both sides of one line: (what, how many lose, how many gain). Each with its number."""
    most = max((count for _, lost, gained in rows for count in (lost, gained)), default=0) or 1
    half = (_WIDTH - _NAMED) / 2
    axis, wide = _NAMED + half, half - 56  # room for the number
    tall = max(1, len(rows)) * _ROW
    drawn = [f'<line class="grid" x1="{axis:.1f}" x2="{axis:.1f}" y1="0" y2="{tall}"/>']
    for number, (label, lost, gained) in enumerate(rows):
        y, told = number * _ROW, f"{label}: -{lost:,} +{gained:,}"
        shown = label if len(label) <= _NAME_CHARS else f"{label[: _NAME_CHARS - 1]}…"
        drawn.append(f"<g><title>{escape(told)}</title>")
        drawn.append(f'<text class="count" x="0" y="{y + _ROW - 8}">{escape(shown)}</text>')
        for count, part, sign in ((lost, "deny", -1), (gained, "allow", 1)):
            if not count:
                continue
            long = max(2.0, wide * count / most)
            x = axis - long if sign < 0 else axis
            drawn.append(f'<rect class="o-{part}" x="{x:.1f}" y="{y + 4}" width="{long:.1f}" height="{_ROW - 8}"/>')
            place = f'class="scale" x="{x - 6:.1f}"' if sign < 0 else f'class="count" x="{x + long + 6:.1f}"'
            drawn.append(f'<text {place} y="{y + _ROW - 8}">{count:,}</text>')
        drawn.append("</g>")
    return _svg("".join(drawn), name, tall)


class Line(NamedTuple):
    """`values`: None where there is none. `cls` is one of the style sheet's line classes."""

    cls: str
    label: str
    values: Sequence[float | None]


def lines(labels: Sequence[str], drawn: Sequence[Line], name: str, *, height: int = 160) -> Markup:
    """Lines over time. A gap is a gap."""
    known = [value for line in drawn for value in line.values if value is not None]
    most = _ceiling(max(known, default=0.0))
    plot, wide = height - _TOP - _BOTTOM, _WIDTH - _LEFT - _RIGHT
    step = wide / max(1, len(labels) - 1)
    parts = [_grid(most, plot)]
    for line in drawn:
        for run in _runs(line.values):
            points = [(_LEFT + n * step, _TOP + plot * (1 - value / most)) for n, value in run]
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            shape = f'<polyline class="{escape(line.cls)}" points="{path}"/>'
            if len(points) == 1:
                shape = f'<circle class="{escape(line.cls)}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="2"/>'
            parts.append(f"<g><title>{escape(line.label)}</title>{shape}</g>")
    every = max(1, round(len(labels) / 8))
    for number, label in enumerate(labels):
        if number % every == 0:
            parts.append(f'<text class="tick" x="{_LEFT + number * step:.1f}" y="{height - 6}">{escape(label)}</text>')
    return _svg("".join(parts), name, height)


def _runs(values: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    runs: list[list[tuple[int, float]]] = [[]]
    for number, value in enumerate(values):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((number, value))
    return [run for run in runs if run]


def _grid(most: float, plot: int) -> str:
    drawn = []
    for share in (0.0, 0.5, 1.0):
        y = _TOP + plot * (1 - share)
        drawn.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH}" y1="{y:.1f}" y2="{y:.1f}"/>')
        drawn.append(f'<text class="scale" x="{_LEFT - 6}" y="{y + 4:.1f}">{_number(most * share)}</text>')
    return "".join(drawn)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004  # one digit more


def _ceiling(most: float) -> float:
    """A round number at or above it: 1, 2, 4, 5, 8 or 10 times a power of ten."""
    if most <= 0:
        return 1.0
    power = 1.0
    while power * 10 <= most:
        power *= 10
    while power > most:
        power /= 10
    return next(power * step for step in (1, 2, 4, 5, 8, 10) if power * step >= most)


def _svg(inside: str, name: str, height: int) -> Markup:
    # Every text inside was escaped where it was put in.
    return Markup(  # noqa: S704
        f'<svg class="plot" role="img" aria-label="{escape(name)}" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}">{inside}</svg>'
    )

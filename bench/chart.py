"""Plots as SVG, drawn here: bars, grouped or stacked. On a card of its own colours, so that any page may hold it.

Text has the reader's own fonts. Colours change with the reader's scheme, and every bar carries its figure as text,
so nothing is said by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Sequence

_WIDTH: Final = 860
_LEFT: Final = 300  # where bars begin
_RIGHT: Final = 160  # for the figure at the end of the longest bar
_ROW: Final = 40
_TOP: Final = 86
_STYLE: Final = """
.card{fill:#ffffff;stroke:#d0d7de}.t{font:600 16px sans-serif;fill:#1f2328}.s{font:13px sans-serif;fill:#59636e}
.l{font:13px sans-serif;fill:#1f2328}.m{font:11px sans-serif;fill:#59636e}.v{font:600 13px sans-serif;fill:#1f2328}
.c0{fill:#0b6e4f}.c1{fill:#5b7db1}.c2{fill:#b5651d}.c3{fill:#8d6cab}.c4{fill:#8c959f}.c5{fill:#2f9e9e}.c6{fill:#c2557a}
.axis{stroke:#d0d7de}.limit{stroke:#b42318;stroke-dasharray:5 4}
@media (prefers-color-scheme:dark){.card{fill:#161b22;stroke:#3d444d}.t,.l,.v{fill:#f0f6fc}.s,.m{fill:#9198a1}
.c0{fill:#2fbf8f}.c1{fill:#7fa3dd}.c2{fill:#e0924c}.c3{fill:#b493d6}.c4{fill:#7d8590}.c5{fill:#4cc4c4}.c6{fill:#e57fa0}
.axis{stroke:#3d444d}.limit{stroke:#ff7b72}}
"""


@dataclass(frozen=True)
class Bar:
    """One row. `parts` are lengths side by side, each with the number of its colour; `figure` stands at the end."""

    ja: str
    en: str
    parts: Sequence[tuple[float, int]]
    figure: str

    @property
    def length(self) -> float:
        return sum(length for length, _ in self.parts)


@dataclass(frozen=True)
class Chart:
    """`legend` names the colours; `limit` is a line at a value, with its words."""

    ja: str
    en: str
    bars: Sequence[Bar]
    legend: Sequence[tuple[str, int]] = ()
    limit: tuple[float, str] | None = None

    def svg(self) -> str:
        longest = max([bar.length for bar in self.bars] + ([self.limit[0]] if self.limit else [])) or 1.0
        scale = (_WIDTH - _LEFT - _RIGHT) / longest
        top = _TOP + 22 * self._legend_rows()
        height = top + _ROW * len(self.bars) + 16
        rows = [self._row(bar, top + _ROW * number, scale) for number, bar in enumerate(self.bars)]
        parts = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" '
                f'aria-label="{escape(self.ja)} / {escape(self.en)}">'
            ),
            f"<style>{_STYLE}</style>",
            f'<rect class="card" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
            f'<text class="t" x="20" y="30">{escape(self.ja)}</text>',
            f'<text class="s" x="20" y="50">{escape(self.en)}</text>',
            *self._legend(),
            f'<line class="axis" x1="{_LEFT}" x2="{_LEFT}" y1="{top - 6}" y2="{height - 12}"/>',
            *rows,
            *self._limit_line(top, height, scale),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _legend_rows(self) -> int:
        return -(-len(self.legend) // 2)

    def _legend(self) -> list[str]:
        found = []
        for number, (words, colour) in enumerate(self.legend):
            x, y = 20 + 415 * (number % 2), _TOP - 8 + 22 * (number // 2)
            found.append(f'<rect class="c{colour}" x="{x}" y="{y - 10}" width="12" height="12" rx="2"/>')
            found.append(f'<text class="m" x="{x + 18}" y="{y}">{escape(words)}</text>')
        return found

    def _row(self, bar: Bar, y: float, scale: float) -> str:
        found = [
            f'<text class="l" x="{_LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(bar.ja)}</text>',
            f'<text class="m" x="{_LEFT - 10}" y="{y + 29}" text-anchor="end">{escape(bar.en)}</text>',
        ]
        x = float(_LEFT)
        for length, colour in bar.parts:
            width = max(0.0, length * scale)
            found.append(f'<rect class="c{colour}" x="{x:.1f}" y="{y + 5}" width="{max(width, 1):.1f}" height="24"/>')
            x += width
        found.append(f'<text class="v" x="{x + 8:.1f}" y="{y + 22}">{escape(bar.figure)}</text>')
        return "\n".join(found)

    def _limit_line(self, top: float, height: float, scale: float) -> list[str]:
        if self.limit is None:
            return []
        x = _LEFT + self.limit[0] * scale
        return [
            f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="{top - 6}" y2="{height - 12}"/>',
            f'<text class="m" x="{x - 6:.1f}" y="{top - 10}" text-anchor="end">{escape(self.limit[1])}</text>',
        ]

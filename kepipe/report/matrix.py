"""Who sees whom, drawn: the visible matrix of a sentence tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from markupsafe import escape

from kepipe.knowledge.kbert.show import Shown

TINTS = 6
"""Colours that a page has for mentions."""
LABELLED = 90
"""Tokens up to which the matrix names its rows and columns."""


def tint(mention: int) -> int:
    """The colour of mention 1, 2, …"""
    return (mention - 1) % TINTS


def draw(shown: Shown, width: int) -> str:
    """The visible matrix as an SVG of at most `width` units, a rectangle for each run of cells of one kind."""
    T = len(shown.tokens)
    margin = 76 if T <= LABELLED else 4
    cell = min((width - margin) / T, 26)
    parts = [
        f'<rect x="{margin}" y="{margin}" width="{T * cell:.2f}" height="{T * cell:.2f}" fill="var(--raised)" '
        'stroke="var(--line)"/>'
    ]
    for row in range(T):
        parts += _cells(shown, row, margin, cell)
        if T <= LABELLED:
            parts.append(_label(shown, row, margin, cell))
    side = margin + T * cell + 4
    # On a narrow screen labels stay readable, and the drawing is scrolled.
    least = min(side, side * 9 / _label_size(cell)) if T <= LABELLED else 0
    style = f"max-width:{max(side, 420):.0f}px;min-width:{least:.0f}px"
    box = f'viewBox="0 0 {side:.0f} {side:.0f}" style="{style}"'
    return f'<svg {box} role="img" aria-label="visible matrix">{"".join(parts)}</svg>'


def _cells(shown: Shown, row: int, margin: int, cell: float) -> Iterator[str]:
    """A row's runs of cells of one kind; large cells have blanks between the rows."""
    branch, mention = shown.injected.branch[0].tolist(), shown.injected.mention[0].tolist()
    blank = 0.6 if cell > 8 else 0.0
    start = 0
    for kind, run in groupby(_kind(shown, row, column, branch, mention) for column in range(len(branch))):
        size = len(list(run))
        if kind:
            yield (
                f'<rect x="{margin + start * cell:.2f}" y="{margin + row * cell:.2f}" '
                f'width="{size * cell - blank:.2f}" height="{cell - blank:.2f}" {kind}/>'
            )
        start += size


def _label(shown: Shown, place: int, margin: int, cell: float) -> str:
    """A token beside its row and above its column: there upright where it is one character."""
    mention, branch = int(shown.injected.mention[0, place]), int(shown.injected.branch[0, place])
    fill = f"var(--series-{tint(mention)})" if mention else "var(--ink)"
    weight = ' font-weight="600"' if mention and not branch else ""
    size = _label_size(cell)
    style, text = f'font-size="{size:.1f}" fill="{fill}"{weight}', escape(shown.tokens[place][:10])
    middle = margin + (place + 0.5) * cell
    above = f'transform="translate({middle + size * 0.36:.1f} {margin - 5}) rotate(-90)"'
    if len(shown.tokens[place]) == 1:
        above = f'x="{middle:.1f}" y="{margin - 7}" text-anchor="middle"'
    return (
        f'<text x="{margin - 5}" y="{middle + size * 0.36:.1f}" text-anchor="end" {style}>{text}</text>'
        f"<text {above} {style}>{text}</text>"
    )


def _label_size(cell: float) -> float:
    return min(cell * 0.62, 12)


def _kind(shown: Shown, row: int, column: int, branch: Sequence[int], mention: Sequence[int]) -> str:
    """How a cell is filled; "" where nothing is seen."""
    if not shown.visible[row, column]:
        return ""
    if branch[row] == branch[column]:
        return (
            f'fill="var(--series-{tint(mention[row])})"'
            if branch[row]
            else 'fill="var(--muted)" opacity=".38"'
        )
    of = mention[row] if branch[row] else mention[column]
    return f'fill="var(--series-{tint(of)})" opacity=".42"'

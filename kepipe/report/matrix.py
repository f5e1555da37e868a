"""The visible matrix of a sentence tree, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from kepipe.knowledge.kbert.show import Shown
from kepipe.report.markup import Markup, fill, join

TINTS = 6
"""Number of the page's colours for mentions."""
LABELLED = 90
"""Maximum number of tokens for which the matrix has labels."""


def tint(mention: int) -> int:
    """The colour of mention 1, 2, …"""
    return (mention - 1) % TINTS


def draw(shown: Shown, width: int) -> Markup:
    """The visible matrix as an SVG of at most `width` units, with a rectangle for each run of equal cells."""
    T = len(shown.tokens)
    margin = 76 if T <= LABELLED else 4
    cell = min((width - margin) / T, 26)
    parts = [
        fill(
            '<rect x="{}" y="{}" width="{:.2f}" height="{:.2f}" fill="var(--raised)" stroke="var(--line)"/>',
            *(margin, margin, T * cell, T * cell),
        )
    ]
    for row in range(T):
        parts += _cells(shown, row, margin, cell)
        if T <= LABELLED:
            parts.append(_label(shown, row, margin, cell))
    side = margin + T * cell + 4
    # On a narrow screen, labels stay readable, and the drawing scrolls.
    least = min(side, side * 9 / _label_size(cell)) if T <= LABELLED else 0
    return fill(
        '<svg viewBox="0 0 {:.0f} {:.0f}" style="max-width:{:.0f}px;min-width:{:.0f}px" role="img" '
        'aria-label="visible matrix">{}</svg>',
        *(side, side, max(side, 420), least, join(parts)),
    )


def _cells(shown: Shown, row: int, margin: int, cell: float) -> Iterator[Markup]:
    """Runs of equal cells in a row; large cells have gaps between the rows."""
    branch, mention = shown.injected.branch[0].tolist(), shown.injected.mention[0].tolist()
    blank = 0.6 if cell > 8 else 0.0
    start = 0
    for kind, run in groupby(_kind(shown, row, column, branch, mention) for column in range(len(branch))):
        size = len(list(run))
        if kind:
            yield fill(
                '<rect x="{:.2f}" y="{:.2f}" width="{:.2f}" height="{:.2f}" fill="{}" opacity="{}"/>',
                *(margin + start * cell, margin + row * cell, size * cell - blank, cell - blank, *kind),
            )
        start += size


def _label(shown: Shown, place: int, margin: int, cell: float) -> Markup:
    """A token next to its row and above its column, where it is upright if it is a single character."""
    mention, branch = int(shown.injected.mention[0, place]), int(shown.injected.branch[0, place])
    ink = f"var(--series-{tint(mention)})" if mention else "var(--ink)"
    size, text = _label_size(cell), shown.tokens[place][:10]
    weight = 600 if mention and not branch else 400
    look = fill('font-size="{:.1f}" fill="{}" font-weight="{}"', size, ink, weight)
    middle = margin + (place + 0.5) * cell
    base = middle + size * 0.36
    above = fill('transform="translate({:.1f} {}) rotate(-90)"', base, margin - 5)
    if len(shown.tokens[place]) == 1:
        above = fill('x="{:.1f}" y="{}" text-anchor="middle"', middle, margin - 7)
    return fill(
        '<text x="{}" y="{:.1f}" text-anchor="end" {}>{}</text><text {} {}>{}</text>',
        *(margin - 5, base, look, text),
        *(above, look, text),
    )


def _label_size(cell: float) -> float:
    return min(cell * 0.62, 12)


def _kind(
    shown: Shown, row: int, column: int, branch: Sequence[int], mention: Sequence[int]
) -> tuple[str, float] | None:
    """Colour and opacity of a cell; None if it is not visible."""
    if not shown.visible[row, column]:
        return None
    if branch[row] == branch[column]:
        return (f"var(--series-{tint(mention[row])})", 1.0) if branch[row] else ("var(--muted)", 0.38)
    of = mention[row] if branch[row] else mention[column]
    return f"var(--series-{tint(of)})", 0.42

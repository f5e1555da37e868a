"""A page on one injected text: the sentence tree, the row the model reads, who sees whom, and why these facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape

from kepipe.inject.choice import CHOICES
from kepipe.inject.show import Hung, Shown
from kepipe.report.page import Fact, Figure, Page, Section, Table, Text

TINTS = 6
WIDTH = 1000
"""Of a drawing, in its own units."""
LINE, BOX, GAP = 58, 34, 7
"""Height of a line of the tree and of a token's box; the blank between boxes."""


def tree_page(shown: Shown, graph: str) -> Page:
    """The page. `graph`: what the graph is called."""
    hanging = [hung for hung in shown.hung if hung.branch]
    mentions = len({hung.mention for hung in hanging})
    plain = int((shown.planted.places >= 0).sum())
    return Page(
        title="Injection",
        kicker=f"Sentence tree · {graph}",
        headline=shown.text,
        lead=f"{_count(len(hanging), 'fact')} of the graph {'hangs' if len(hanging) == 1 else 'hang'} from "
        f"{_count(mentions, 'mention')}. The model reads {len(shown.tokens)} tokens in place of {plain}; "
        f"{_share(shown):.0%} of the pairs of tokens see each other.",
        facts=(
            Fact("tokens of the sentence", str(plain)),
            Fact("tokens of branches", str(int((shown.planted.branch > 0).sum()))),
            Fact("without room", str(len(shown.hung) - len(hanging)), "facts that the longest row left out"),
        ),
        sections=(
            Section("tree", "The tree", (
                Figure(_tree(shown), "Under a token: its soft position. The sentence counts on as if there were no "
                       "branches; a branch goes on from the last token of its mention.", wide=True),
            )),
            Section("row", "The row", (
                Text(_order(shown)),
                Text(_row(shown), kind="html"),
            )),
            Section("visible", "Who sees whom", (
                Text("A token of the row at the left sees the tokens at the top whose cell is filled. Grey: within the "
                     "sentence. Full colour: within a branch. Light: between a branch and its mention. Two branches "
                     "never see each other, and what is not a mention sees no branch."),
                Figure(_matrix(shown), "The visible matrix. The model computes it from two numbers a token: branch "
                       "and mention.", wide=True),
            )),
            Section("why", "Why these facts", (_facts(shown.hung, shown.choice),)),
        ),
        footer="Liu et al. 2020, “K-BERT: Enabling Language Representation with Knowledge Graph”, section 3.",
    )  # fmt: skip


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _share(shown: Shown) -> float:
    return float(shown.visible.mean())


def _order(shown: Shown) -> str:
    where = (
        "right before the last token of its mention, which reads it"
        if shown.causal
        else "right after its mention"
    )
    return (
        f"What the model gets, in hard order: a branch stands {where}. Above a token its place in the row, below "
        "it the soft position by which it is embedded."
    )


def _facts(hung: Sequence[Hung], choice: str) -> Table:
    rows = tuple(
        (
            _chip(one.surface, one.mention),
            one.entity if one.entity != one.surface else "",
            one.relation,
            one.object,
            f"{one.rank}. of {one.known}",
            "" if choice == "graph" else f"{one.score:.3g}",
            f"branch {one.branch}" if one.branch else "no room",
        )
        for one in hung
    )
    head = ("mention", "entity", "relation", "object", "rank", "score", "place")
    return Table(head, rows, numbers=(5,), caption=f"Ranked by {CHOICES[choice].about}.")


def _chip(text: str, mention: int) -> Markup:
    return Markup('<mark class="entity" style="--tint: var(--tint-{})">{}</mark>').format(
        _tint(mention), text
    )


def _tint(mention: int) -> int:
    return (mention - 1) % TINTS


STRIP = (
    "display:flex;flex-wrap:wrap;gap:.6em .25em;font-size:.86rem;font-variant-numeric:tabular-nums;"
    "margin:.4rem 0 1rem"
)
CELL = (
    '<span style="display:inline-grid;justify-items:center;line-height:1.25">'
    '<small style="color:var(--muted)">{}</small>'
    '<span style="padding:.15em .4em;border:1px solid var(--line);border-radius:3px;min-width:1.7em;'
    'text-align:center;{}">{}</span><small style="font-weight:600">{}</small></span>'
)
"""Of the row, and of a token in it: hard position, style, token, soft position."""


def _row(shown: Shown) -> Markup:
    """The tokens side by side, wrapped as the page is wide."""
    cells = []
    planted = shown.planted
    for place, token in enumerate(shown.tokens):
        mention, branch = int(planted.mention[0, place]), int(planted.branch[0, place])
        fill = f"background:var(--tint-{_tint(mention)});color:var(--tint-ink);" if mention else ""
        edge = f"border-bottom:3px solid var(--series-{_tint(mention)});" if branch else ""
        cells.append(Markup(CELL).format(place, Markup(fill + edge), token, planted.positions[0, place]))
    return Markup('<div style="{}">{}</div>').format(STRIP, Markup("").join(cells))


def _size(text: str) -> float:
    """Width of a text at 14 units: Chinese characters are squares, others about half as wide."""
    return sum(14.5 if ord(char) > 0x2E7F else 8.2 for char in text)


def _tree(shown: Shown) -> str:
    """The sentence on lines of the page's width; under each line the branches of its mentions."""
    drawing = _Drawing()
    sentence = np.flatnonzero((shown.planted.branch[0] == 0) & (shown.planted.owner[0] >= 0)).tolist()
    x, y, deepest = 0.0, 12.0, 12.0
    taken: list[float] = []  # how far each line of branches under this line of the sentence is filled
    for run in _runs(sentence, shown.planted.mention[0].tolist()):
        branches = _branches(shown, int(shown.planted.mention[0, run[0]]))
        needed = max([drawing.width(shown, run), *(30 + drawing.width(shown, branch) for branch in branches)])
        if x and x + needed > WIDTH:
            x, y, taken = 0.0, deepest + LINE + 14, []
            deepest = y
        start = x
        x = drawing.boxes(shown, run, x, y)
        for branch in branches:
            level = next((n for n, end in enumerate(taken) if end < start), len(taken))
            taken += [0.0] * (level + 1 - len(taken))
            under = y + LINE * (level + 1)
            deepest = max(deepest, under)
            drawing.hang(start + 6, y, under, int(shown.planted.mention[0, run[0]]))
            taken[level] = drawing.boxes(shown, branch, start + 30, under) + 10
    return drawing.svg(deepest + BOX + 26)


def _runs(places: Iterable[int], mentions: Sequence[int]) -> list[list[int]]:
    """Tokens of the sentence, those of a mention together."""
    runs: list[list[int]] = []
    for place in places:
        if runs and mentions[place] and mentions[runs[-1][0]] == mentions[place]:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _branches(shown: Shown, mention: int) -> list[list[int]]:
    """The places of each branch of a mention, in the order of their rank."""
    branch, of = shown.planted.branch[0], shown.planted.mention[0]
    numbers = np.unique(branch[(of == mention) & (branch > 0) & (mention > 0)])
    return [np.flatnonzero(branch == number).tolist() for number in numbers]


class _Drawing:
    """Boxes and lines of an SVG."""

    def __init__(self) -> None:
        self._under: list[str] = []
        self._over: list[str] = []

    def width(self, shown: Shown, places: Sequence[int]) -> float:
        return sum(max(_size(shown.tokens[place]) + 12, 26) + GAP for place in places)

    def boxes(self, shown: Shown, places: Sequence[int], x: float, y: float) -> float:
        """Draw tokens from x on; where the next may begin."""
        for place in places:
            width, mention = self.width(shown, [place]) - GAP, int(shown.planted.mention[0, place])
            fill = f"var(--tint-{_tint(mention)})" if mention else "var(--raised)"
            ink = "var(--tint-ink)" if mention else "var(--ink)"
            edge = f"var(--series-{_tint(mention)})" if mention else "var(--line)"
            middle = x + width / 2
            self._over.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{BOX - 8}" rx="4" fill="{fill}" '
                f'stroke="{edge}"/>'
                f'<text x="{middle:.1f}" y="{y + 18:.1f}" text-anchor="middle" font-size="14" fill="{ink}">'
                f"{escape(shown.tokens[place])}</text>"
                f'<text x="{middle:.1f}" y="{y + 39:.1f}" text-anchor="middle" font-size="10.5" fill="var(--muted)">'
                f"{shown.planted.positions[0, place]}</text>"
            )
            x += width + GAP
        return x

    def hang(self, x: float, y: float, under: float, mention: int) -> None:
        """The line from a mention down to one of its branches."""
        self._under.append(
            f'<path d="M{x:.1f},{y + BOX - 8:.1f} V{under + 7:.1f} q0,6 6,6 h17" fill="none" '
            f'stroke="var(--series-{_tint(mention)})" stroke-width="1.6"/>'
        )

    def svg(self, height: float) -> str:
        parts = "".join(self._under + self._over)
        return f'<svg viewBox="-2 0 {WIDTH + 4} {height:.0f}" role="img" aria-label="sentence tree">{parts}</svg>'


LABELLED = 90
"""Tokens up to which the matrix names its rows and columns."""


def _matrix(shown: Shown) -> str:
    """The visible matrix, a rectangle for each run of cells of one kind."""
    T = len(shown.tokens)
    branch, mention = shown.planted.branch[0].tolist(), shown.planted.mention[0].tolist()
    margin = 76 if T <= LABELLED else 4
    cell = min((WIDTH - margin) / T, 26)
    parts = [
        f'<rect x="{margin}" y="{margin}" width="{T * cell:.2f}" height="{T * cell:.2f}" fill="var(--raised)" '
        'stroke="var(--line)"/>'
    ]
    for row in range(T):
        kinds = [_kind(shown, row, column, branch, mention) for column in range(T)]
        start = 0
        for column in range(1, T + 1):
            if column == T or kinds[column] != kinds[start]:
                if kinds[start]:
                    parts.append(
                        f'<rect x="{margin + start * cell:.2f}" y="{margin + row * cell:.2f}" '
                        f'width="{(column - start) * cell - 0.6:.2f}" height="{cell - 0.6:.2f}" {kinds[start]}/>'
                    )
                start = column
        if T <= LABELLED:
            fill = f"var(--series-{_tint(mention[row])})" if mention[row] else "var(--ink)"
            weight = ' font-weight="600"' if mention[row] and not branch[row] else ""
            middle = margin + (row + 0.5) * cell
            size = min(cell * 0.62, 12)
            label = f'font-size="{size:.1f}" fill="{fill}"{weight}'
            text = escape(shown.tokens[row][:10])
            parts.append(
                f'<text x="{margin - 5}" y="{middle + size * 0.36:.1f}" text-anchor="end" {label}>{text}</text>'
                f'<text transform="translate({middle + size * 0.36:.1f} {margin - 5}) rotate(-90)" {label}>'
                f"{text}</text>"
            )
    side = margin + T * cell + 4
    style = f"max-width:{max(side, 420):.0f}px;min-width:0"
    box = f'viewBox="0 0 {side:.0f} {side:.0f}" style="{style}"'
    return f'<svg {box} role="img" aria-label="visible matrix">{"".join(parts)}</svg>'


def _kind(shown: Shown, row: int, column: int, branch: Sequence[int], mention: Sequence[int]) -> str:
    """How a cell is filled; "" where nothing is seen."""
    if not shown.visible[row, column]:
        return ""
    if branch[row] == branch[column]:
        return (
            f'fill="var(--series-{_tint(mention[row])})"'
            if branch[row]
            else 'fill="var(--muted)" opacity=".38"'
        )
    of = mention[row] if branch[row] else mention[column]
    return f'fill="var(--series-{_tint(of)})" opacity=".42"'

"""The page of `kepipe inject`: sentence tree, input row, visible matrix, and the ranking of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.kbert.show import InjectedTriple, Shown
from kepipe.report.markup import Markup, fill, join
from kepipe.report.matrix import draw, tint
from kepipe.report.page import Fact, Figure, Page, Section, Table, Text

WIDTH = 1000
"""Width of a drawing, in its own units."""
LINE, BOX, GAP = 58, 34, 7
"""Height of a line of the tree and of a token's box; the gap between boxes."""


def tree_page(shown: Shown, graph: str) -> Page:
    """The page. `graph`: the graph's name."""
    hanging = [hung for hung in shown.hung if hung.branch]
    mentions = len({hung.mention for hung in hanging})
    plain = int((shown.injected.places >= 0).sum())
    return Page(
        title="Injection",
        kicker=f"Sentence tree · {graph}",
        headline=shown.text,
        lead=f"{_count(len(hanging), 'fact')} of the graph {'is' if len(hanging) == 1 else 'are'} attached to "
        f"{_count(mentions, 'mention')}. The model reads {len(shown.tokens)} tokens instead of {plain}; "
        f"{_share(shown):.0%} of all pairs of tokens are visible to each other.",
        facts=(
            Fact("tokens of the sentence", str(plain)),
            Fact("tokens of branches", str(int((shown.injected.branch > 0).sum()))),
            Fact("without room", str(len(shown.hung) - len(hanging)), "facts that exceed the maximum row length"),
        ),
        sections=(
            Section("tree", "The tree", (
                Figure(_tree(shown), "Under a token: its soft position. Positions in the sentence ignore the "
                       "branches; a branch continues from the last token of its mention.", wide=True),
            )),
            Section("row", "The row", (
                Text(_order(shown)),
                Text(_row(shown), kind="html"),
            )),
            Section("visible", "The visible matrix", (
                Text("A token (left) attends to the tokens (top) whose cell is filled. Grey: within the "
                     "sentence. Full colour: within a branch. Light: between a branch and its mention. Two branches "
                     "never attend to each other, and only mentions attend to their branches."),
                Figure(draw(shown, WIDTH), "The visible matrix. The model computes it from two numbers per token: "
                       "branch and mention.", wide=True),
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
        "right before the last token of its mention, which attends to it"
        if shown.causal
        else "right after its mention"
    )
    return (
        f"The input of the model, by hard position: a branch is inserted {where}. Above a token: its hard position; "
        "below it: the soft position of its position embedding."
    )


def _facts(hung: Sequence[InjectedTriple], choice: str) -> Table:
    """One row per fact; empty columns are omitted."""
    columns: dict[str, list[object]] = {
        "mention": [_chip(one.surface, one.mention) for one in hung],
        "entity": [one.entity if one.entity != one.surface else "" for one in hung],
        "relation": [one.relation for one in hung],
        "object": [one.object for one in hung],
        "rank": [f"{one.rank}.\u00a0of\u00a0{one.known}" for one in hung],
        "score": [f"{one.score:.3g}" if CHOICES[choice].scored else "" for one in hung],
        "place": [f"branch\u00a0{one.branch}" if one.branch else "no\u00a0room" for one in hung],
    }
    filled = {name: cells for name, cells in columns.items() if any(cells)}
    numbers = tuple(place for place, name in enumerate(filled) if name == "score")
    rows = tuple(zip(*filled.values(), strict=True))
    return Table(tuple(filled), rows, numbers=numbers, caption=f"Ranked by {CHOICES[choice].about}.")


def _chip(text: str, mention: int) -> Markup:
    return fill('<mark class="entity" style="--tint: var(--tint-{})">{}</mark>', tint(mention), text)


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
"""For a token of the row: hard position, style, token, soft position."""


def _row(shown: Shown) -> Markup:
    """The tokens in a row that wraps at the width of the page."""
    cells = []
    injected = shown.injected
    for place, token in enumerate(shown.tokens):
        mention, branch = int(injected.mention[0, place]), int(injected.branch[0, place])
        back = f"background:var(--tint-{tint(mention)});color:var(--tint-ink);" if mention else ""
        edge = f"border-bottom:3px solid var(--series-{tint(mention)});" if branch else ""
        cells.append(fill(CELL, place, back + edge, token, injected.positions[0, place]))
    return fill('<div style="{}">{}</div>', STRIP, join(cells))


def _size(text: str) -> float:
    """Width of a text at font size 14: Chinese characters are square, others about half as wide."""
    return sum(14.5 if ord(char) > 0x2E7F else 8.2 for char in text)


def _tree(shown: Shown) -> Markup:
    """The sentence on lines of the page's width; under each line the branches of its mentions, one below the other.

    A mention is placed to the right of the branches before it, so that no line crosses a box.
    """
    drawing = _Drawing()
    sentence = np.flatnonzero((shown.injected.branch[0] == 0) & (shown.injected.owner[0] >= 0)).tolist()
    x, y, deepest = 0.0, 12.0, 12.0
    taken: list[float] = []  # the filled width of each line of branches under this line of the sentence
    for run in _runs(sentence, shown.injected.mention[0].tolist()):
        mention = int(shown.injected.mention[0, run[0]])
        branches = _branches(shown, mention)
        x = max([x, *taken[: len(branches)]])
        needed = max([drawing.width(shown, run), *(30 + drawing.width(shown, branch) for branch in branches)])
        if x and x + needed > WIDTH:
            x, y, taken = 0.0, deepest + LINE + 14, []
            deepest = y
        start = x
        x = drawing.boxes(shown, run, x, y)
        ends = []
        for level, branch in enumerate(branches):
            under = y + LINE * (level + 1)
            drawing.hang(start + 6, y, under, mention)
            ends.append(drawing.boxes(shown, branch, start + 30, under) + 10)
            deepest = max(deepest, under)
        taken = ends + taken[len(ends) :]
    return drawing.svg(deepest + BOX + 26)


def _runs(places: Iterable[int], mentions: Sequence[int]) -> list[list[int]]:
    """Tokens of the sentence, with those of a mention grouped."""
    runs: list[list[int]] = []
    for place in places:
        if runs and mentions[place] and mentions[runs[-1][0]] == mentions[place]:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs


def _branches(shown: Shown, mention: int) -> list[list[int]]:
    """The positions of each branch of a mention, by rank."""
    branch, of = shown.injected.branch[0], shown.injected.mention[0]
    numbers = np.unique(branch[(of == mention) & (branch > 0) & (mention > 0)])
    return [np.flatnonzero(branch == number).tolist() for number in numbers]


class _Drawing:
    """Boxes and lines of an SVG."""

    def __init__(self) -> None:
        self._under: list[Markup] = []
        self._over: list[Markup] = []
        self._reach = 0.0

    def width(self, shown: Shown, places: Sequence[int]) -> float:
        return sum(max(_size(shown.tokens[place]) + 12, 26) + GAP for place in places)

    def boxes(self, shown: Shown, places: Sequence[int], x: float, y: float) -> float:
        """Draw tokens from x on; returns the x of the next one."""
        for place in places:
            width, mention = self.width(shown, [place]) - GAP, int(shown.injected.mention[0, place])
            back = f"var(--tint-{tint(mention)})" if mention else "var(--raised)"
            ink = "var(--tint-ink)" if mention else "var(--ink)"
            edge = f"var(--series-{tint(mention)})" if mention else "var(--line)"
            middle = x + width / 2
            self._over.append(
                fill(
                    '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="4" fill="{}" stroke="{}"/>'
                    '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" font-size="14" fill="{}">{}</text>'
                    '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" font-size="10.5" fill="var(--muted)">{}</text>',
                    *(x, y, width, BOX - 8, back, edge),
                    *(middle, y + 18, ink, shown.tokens[place]),
                    *(middle, y + 39, shown.injected.positions[0, place]),
                )
            )
            x += width + GAP
        self._reach = max(self._reach, x)
        return x

    def hang(self, x: float, y: float, under: float, mention: int) -> None:
        """The line from a mention down to one of its branches."""
        self._under.append(
            fill(
                '<path d="M{:.1f},{:.1f} V{:.1f} q0,6 6,6 h17" fill="none" '
                'stroke="var(--series-{})" stroke-width="1.6"/>',
                *(x, y + BOX - 8, under + 7, tint(mention)),
            )
        )

    def svg(self, height: float) -> Markup:
        """The SVG, as wide as its content, with a minimum size at which tokens are readable: the page scrolls it."""
        width = self._reach + 4
        return fill(
            '<svg viewBox="-2 0 {:.0f} {:.0f}" style="max-width:{:.0f}px;min-width:{:.0f}px" role="img" '
            'aria-label="sentence tree">{}</svg>',
            *(width, height, width, 0.75 * width, join(self._under + self._over)),
        )

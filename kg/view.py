"""Show an entity's neighbourhood as facts and as a picture."""

from __future__ import annotations

import io
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.arrays import Ints
from kg.characters import chart_settings, in_chart
from kg.store import Graph, Triples

if TYPE_CHECKING:
    pass

_INK, _MUTED, _PAPER = "#1d1f23", "#646a73", "#fdfcf9"
_COLORS = ("#1f5fa8", "#c9661c", "#23836b", "#8a4fa0", "#a8862a", "#b0405a", "#4f7f1f", "#2b8ca3")
_CJK_FONTS = (
    "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Microsoft YaHei", "PingFang SC", "Hiragino Sans GB", "SimHei", "Arial Unicode MS",
)  # fmt: skip
_LONGEST = 34
_MOST_ON_A_RING = 150
"""Maximum number of names around the largest picture without overlap."""


def ego_triples(graph: Graph, row: int, hops: int = 1, most: int = 24) -> Triples:
    """The triples of a tree around an entity: int32 [n, 3].

    Each entity adds at most `most` new neighbours (a quarter of these at each further hop), alternating between its
    relations, so that a frequent one does not displace the others; within a relation, the neighbours with the highest
    prior, then degree, come first.
    """
    rank = _rank(graph)
    seen, ring, found = {row}, [row], []
    for _ in range(hops):
        following: list[int] = []
        for entity in ring:
            taken = _take_turns(graph, entity, seen, rank, most)
            found += taken
            following += [head if tail == entity else tail for head, _, tail in taken]
        ring, most = following, max(most // 4, 2)
    return np.asarray(found, np.int32).reshape(-1, 3)


@dataclass(frozen=True, slots=True)
class Facts:
    """The triples of one entity and one relation: `others` are their other ends, highest prior first."""

    relation: int
    others: tuple[int, ...]


def facts_of(graph: Graph, row: int) -> tuple[list[Facts], list[Facts]]:
    """The facts of an entity as head, and as tail; relations with the fewest triples first."""
    rank = _rank(graph)
    found: tuple[dict[int, list[int]], dict[int, list[int]]] = (defaultdict(list), defaultdict(list))
    for groups, triples, other in zip(found, (graph.by_head(row), graph.by_tail(row)), (2, 0), strict=True):
        for triple in triples.tolist():
            groups[triple[1]].append(triple[other])
    away, to = (
        sorted(
            (
                Facts(relation, tuple(sorted(rows, key=lambda one: rank[one])))
                for relation, rows in groups.items()
            ),
            key=lambda facts: (len(facts.others), facts.relation),
        )
        for groups in found
    )
    return away, to


def _rank(graph: Graph) -> Ints:
    """The rank of each entity by prior, then degree; 0 is the highest: [E]."""
    rank = np.empty(len(graph), np.int64)
    rank[np.lexsort((graph.degrees, graph.prior))] = np.arange(len(graph))[::-1]
    return rank


def _take_turns(
    graph: Graph, entity: int, seen: set[int], rank: Any, most: int
) -> list[tuple[int, int, int]]:
    """Up to `most` triples of `entity` with neighbours not in `seen` (updated), alternating between relations."""
    queues: dict[tuple[bool, int], list[tuple[int, tuple[int, int, int]]]] = defaultdict(list)
    for away, triples in ((True, graph.by_head(entity)), (False, graph.by_tail(entity))):
        for head, relation, tail in triples.tolist():
            other = tail if away else head
            queues[away, relation].append((other, (head, relation, tail)))
    for queue in queues.values():
        queue.sort(key=lambda entry: -rank[entry[0]])  # the best is last, to be popped
    taken: list[tuple[tuple[bool, int], tuple[int, int, int]]] = []
    while len(taken) < most and any(queues.values()):
        for key, queue in queues.items():
            while queue:
                other, triple = queue.pop()
                if other not in seen:
                    seen.add(other)
                    taken.append((key, triple))
                    break
    return [triple for _, triple in sorted(taken[:most], key=lambda entry: entry[0])]


def draw_ego(graph: Graph, row: int, file: Path, hops: int = 1, most: int = 24) -> list[str]:
    """Draw an entity's neighbourhood into `file` (.png, .svg, .pdf). Returns warnings about the drawing.

    Raises ValueError for another extension.
    """
    format = file.suffix.lower().removeprefix(".")
    if format not in ("png", "svg", "pdf"):
        raise ValueError(f"{file}: pictures end with .png, .svg or .pdf")
    drawing, warnings = render_ego(graph, row, ego_triples(graph, row, hops, most), format)
    file.write_bytes(drawing)
    return warnings


def render_ego(graph: Graph, row: int, triples: Triples, format: str = "svg") -> tuple[bytes, list[str]]:
    """The tree of `triples` (of `ego_triples`) around an entity as a picture, and warnings; equal graphs, equal bytes.

    Rings are hops; a colour is a relation, an arrow points from head to tail.
    """
    import warnings

    from matplotlib.figure import Figure

    angle, ring = _places(row, triples)
    outermost = max(ring.values())
    crowd = sum(depth == outermost for depth in ring.values())
    size = min(max(6.0, 4.0 + 0.09 * crowd + 0.8 * outermost), 14.0)
    settings: Any = {
        "svg.fonttype": "none", "svg.hashsalt": "kg", "font.family": ["DejaVu Sans", *_installed(_CJK_FONTS)],
    }  # fmt: skip
    with chart_settings(settings), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        figure = Figure(figsize=(size * 1.35, size), facecolor=_PAPER)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        reach = outermost + 0.55
        axes.set_xlim(-reach * 1.35, reach * 1.35)
        axes.set_ylim(-reach, reach)
        axes.set_axis_off()
        boxes = _draw_names(axes, graph, row, angle, ring)
        _draw_edges(axes, graph, triples, angle, ring, boxes)
        stream = io.BytesIO()
        metadata = {"Date": None, "Creator": None} if format == "svg" else None
        figure.savefig(
            stream, format=format, dpi=150, metadata=metadata, bbox_inches="tight", pad_inches=0.25
        )
    notes = []
    if crowd > _MOST_ON_A_RING:
        notes.append(f"{crowd} names on the outermost ring overlap; fewer neighbours or hops show them")
    lost = sorted({str(entry.message) for entry in caught if "missing from font" in str(entry.message)})
    if lost and format != "svg":  # in SVG, the reader's own fonts are used
        notes.append(f"no installed font has {len(lost)} of the characters; .svg shows them")
    return stream.getvalue(), notes


def _places(row: int, triples: Triples) -> tuple[dict[int, float], dict[int, int]]:
    """Angle and ring of each entity: leaves are spread evenly around the circle, a parent is centred among them."""
    children: dict[int, list[int]] = defaultdict(list)
    ring = {row: 0}
    for head, _, tail in triples.tolist():
        parent, child = (head, tail) if tail not in ring else (tail, head)
        children[parent].append(child)
        ring[child] = ring[parent] + 1

    def leaves(entity: int) -> int:
        return sum(map(leaves, children[entity])) or 1

    angle = {}

    def spread(entity: int, start: float, width: float) -> None:
        angle[entity] = start + width / 2
        total = leaves(entity)
        for child in children[entity]:
            share = width * leaves(child) / total
            spread(child, start, share)
            start += share

    start = math.pi / 2 if leaves(row) > 1 else math.pi  # a single one is to the right, to be readable
    spread(row, start, -2 * math.pi)  # from the top, clockwise
    return angle, ring


def _point(entity: int, angle: dict[int, float], ring: dict[int, int]) -> tuple[float, float]:
    return ring[entity] * math.cos(angle[entity]) * 1.15, ring[entity] * math.sin(angle[entity])


def _draw_edges(
    axes: Any,
    graph: Graph,
    triples: Triples,
    angle: dict[int, float],
    ring: dict[int, int],
    boxes: dict[int, Any],
) -> None:
    """Arrows from box to box or dot, and a legend of the relations by frequency in the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    used = np.bincount(triples[:, 1], minlength=1)
    by_use = sorted(np.flatnonzero(used).tolist(), key=lambda relation: (-used[relation], relation))
    colors = {
        relation: _COLORS[place] if place < len(_COLORS) else _MUTED for place, relation in enumerate(by_use)
    }
    for head, relation, tail in triples.tolist():
        axes.annotate(
            "",
            _point(tail, angle, ring),
            _point(head, angle, ring),
            zorder=3,
            arrowprops={
                "arrowstyle": "-|>,head_width=0.16,head_length=0.36",
                "color": colors[relation],
                "linewidth": 1.3,
                "patchA": boxes.get(head),
                "patchB": boxes.get(tail),
                "shrinkA": 2 if head in boxes else 6,
                "shrinkB": 2 if tail in boxes else 6,
            },
        )
    for relation in by_use[: len(_COLORS)]:
        axes.plot([], [], color=colors[relation], linewidth=2, label=_short(graph.relation(relation).label))
    if len(by_use) > len(_COLORS):
        axes.plot([], [], color=_MUTED, linewidth=2, label=f"{len(by_use) - len(_COLORS)} other relations")
    if by_use:
        # Below the lowest name: next to the drawing, a long name would overlap it.
        renderer = FigureCanvasAgg(axes.figure).get_renderer()  # type: ignore[no-untyped-call]
        heights = [name.get_window_extent(renderer).y0 for name in axes.texts if name.get_text()]
        lowest = min(heights, default=0.0)  # there may be no name at all
        _, y = axes.transAxes.inverted().transform((0.0, lowest))
        axes.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, y - 0.03),
            ncols=min(len(by_use), 3),
            frameon=False,
            labelcolor=_INK,
            fontsize=9,
            handlelength=1.4,
        )


def _draw_names(
    axes: Any, graph: Graph, row: int, angle: dict[int, float], ring: dict[int, int]
) -> dict[int, Any]:
    """Draw leaves as dots with their names outside, rotated to be readable from the left; inner nodes as boxes.

    Returns the boxes, at which arrows end.
    """
    outermost = max(ring.values())
    boxes = {}
    for entity, turn in angle.items():
        x, y = _point(entity, angle, ring)
        name = _short(graph.labels[entity])
        if ring[entity] < max(outermost, 1):
            center = entity == row
            text = axes.annotate(
                name,
                (x, y),
                ha="center",
                va="center",
                color=_PAPER if center else _INK,
                fontsize=12 if center else 9,
                fontweight="bold" if center else "normal",
                zorder=2,  # before the arrows, which need the positions of the boxes
                bbox={
                    "boxstyle": "round,pad=0.3",
                    "facecolor": _INK if center else _PAPER,
                    "edgecolor": _MUTED,
                },
            )
            boxes[entity] = text.get_bbox_patch()
            continue
        axes.plot([x], [y], "o", color=_MUTED, markersize=5, zorder=3)
        left = x < -1e-9
        degrees = math.degrees(math.atan2(y, x))
        axes.annotate(
            name,
            (x, y),
            (9 * math.cos(turn), 9 * math.sin(turn)),
            textcoords="offset points",
            rotation=degrees + 180 if left else degrees,
            rotation_mode="anchor",
            ha="right" if left else "left",
            va="center",
            color=_INK,
            fontsize=9,
        )
    return boxes


def _installed(names: tuple[str, ...]) -> list[str]:
    from matplotlib import font_manager

    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in names if name in installed]


def _short(text: str) -> str:
    text = in_chart(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"

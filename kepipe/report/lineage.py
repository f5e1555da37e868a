"""The lineage page: a drawing, and a list of all results with run, digest and files."""

from __future__ import annotations

import time
from collections.abc import Iterator

from kepipe.flow.lineage import LineageNode
from kepipe.report.markup import Markup, fill, join
from kepipe.report.page import Fact, Figure, Page, Section, Table

BOX, HEIGHT, ACROSS, DOWN = 150, 44, 210, 64
"""Width and height of a result's box, and the distances between rows and between columns, in the drawing's units."""


def lineage_page(origin: LineageNode) -> Page:
    """The lineage page of a result in the store."""
    assert origin.made is not None
    levels = _levels(origin)
    nodes = [node for level in levels for node in level]
    runs = {node.made.run for node in nodes if node.made is not None}
    files = {source for node in nodes if node.made is not None for source in node.made.sources.items()}
    return Page(
        title="Lineage",
        kicker=f"Lineage · {origin.made.record.get('pipeline', '')}",
        headline=f"Where {origin.made.stage} {origin.digest[:12]} comes from",
        facts=(
            Fact("results", str(len(nodes))),
            Fact("runs that made them", str(len(runs))),
            Fact("external files and models", str(len(files))),
        ),
        sections=(
            Section("drawing", "Derivation", (
                Figure(_draw(levels), "From left to right: from the first inputs to the result itself.", wide=True),
            )),
            Section("results", "Each result", (_results(nodes),)),
            Section("sources", "External files and models", (_sources(nodes),)),
        ),
    )  # fmt: skip


def _levels(origin: LineageNode) -> list[list[LineageNode]]:
    """Each result once, in columns: to the left of all results made from it."""
    depth: dict[str, int] = {}
    nodes: dict[str, LineageNode] = {}

    def visit(node: LineageNode, level: int) -> None:
        nodes[node.digest] = node
        if depth.get(node.digest, -1) < level:
            depth[node.digest] = level
            for part in node.inputs:
                visit(part, level + 1)

    visit(origin, 0)
    columns: list[list[LineageNode]] = [[] for _ in range(max(depth.values()) + 1)]
    for digest, level in depth.items():
        columns[len(columns) - 1 - level].append(nodes[digest])
    return columns


def _draw(levels: list[list[LineageNode]]) -> Markup:
    place = {
        node.digest: (column * ACROSS, row * DOWN)
        for column, nodes in enumerate(levels)
        for row, node in enumerate(nodes)
    }
    width = (len(levels) - 1) * ACROSS + BOX
    height = (max(map(len, levels)) - 1) * DOWN + HEIGHT
    lines = [
        fill(
            '<path d="M{} {} C{} {} {} {} {} {}" fill="none" stroke="var(--muted)"/>',
            *_curve(place[part.digest], place[node.digest]),
        )
        for nodes in levels
        for node in nodes
        for part in node.inputs
    ]
    boxes = [_box(node, *place[node.digest]) for nodes in levels for node in nodes]
    return fill(
        '<svg viewBox="-2 -2 {} {}" role="img" aria-label="Lineage">{}{}</svg>',
        width + 4, height + 4, join(lines), join(boxes),
    )  # fmt: skip


def _curve(first: tuple[int, int], second: tuple[int, int]) -> Iterator[int]:
    x, y = first[0] + BOX, first[1] + HEIGHT // 2
    end, at = second[0], second[1] + HEIGHT // 2
    middle = (x + end) // 2
    yield from (x, y, middle, y, middle, at, end, at)


def _box(node: LineageNode, x: int, y: int) -> Markup:
    name = node.slot if node.made is None else node.made.stage
    style = 'stroke-dasharray="4 3"' if node.made is None else ""
    return fill(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="4" fill="var(--raised)" stroke="var(--accent)" {}/>'
        '<text x="{}" y="{}" font-size="14" fill="var(--ink)">{}</text>'
        '<text x="{}" y="{}" font-size="11" fill="var(--muted)">{}</text>',
        x, y, BOX, HEIGHT, Markup(style), x + 10, y + 19, name[:18], x + 10, y + 35, node.digest[:12],
    )  # fmt: skip


def _results(nodes: list[LineageNode]) -> Table:
    rows = []
    for node in nodes:
        if node.made is None:
            rows.append((node.slot, "no longer in the store", "", "", node.digest[:12]))
            continue
        begun = node.made.record.get("started")
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(begun)) if begun else ""
        rows.append((node.made.stage, node.made.kind, made, node.made.run, node.digest[:12]))
    return Table(("stage", "kind", "made", "run", "digest"), tuple(rows))


def _sources(nodes: list[LineageNode]) -> Table:
    rows = tuple(
        (node.made.stage, name, digest[:12])
        for node in nodes
        if node.made is not None
        for name, digest in node.made.sources.items()
    )
    return Table(("stage", "file or model", "digest or version"), rows)

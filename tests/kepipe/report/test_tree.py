"""The page on an injected text, and the command that prints the tree."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.kbert.show import Shown, show
from kepipe.report.page import render
from kepipe.report.tree import tree_page
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph

TEXT = "库克正在访问<北京>"
FACTS = [
    ("库克", "CEO", "苹果"),
    ("北京", "首都", "中国"),
    ("北京", "是一座", "城市"),
    ("北京", "市长", "殷勇"),
]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    names = dict.fromkeys(name for head, _, tail in FACTS for name in (head, tail))
    relations = dict.fromkeys(fact[1] for fact in FACTS)
    return write_graph(
        tmp_path_factory.mktemp("graph"),
        [Entity(name, name) for name in names],
        [Relation(name, name) for name in relations],
        {"train": [Triple(*fact) for fact in FACTS]},
    )


def shown(graph: Graph, **settings: int) -> Shown:
    return show(TEXT, graph, KBert.model_validate(settings))


def test_tree_lists_injected_triples_with_reasons(graph: Graph) -> None:
    tree = shown(graph)
    assert "".join(tree.tokens) == "[CLS]库克CEO苹果正在访问<北京首都中国是一座城市>[SEP]"
    assert [(one.surface, one.object, one.branch, one.rank, one.known) for one in tree.hung] == [
        ("库克", "苹果", 1, 1, 1), ("北京", "中国", 2, 1, 3), ("北京", "城市", 3, 2, 3),
    ]  # fmt: skip
    assert tree.visible.sum() == 12 * 12 + 2 * (3 * 2) + 3 * 3 + 2 * (4 * 2) + 4 * 4 + 2 * (5 * 2) + 5 * 5


def test_dropped_branches_are_listed(graph: Graph) -> None:
    assert [one.branch for one in shown(graph, length=20).hung] == [1, 2, 0]


def test_tree_page_shows_and_escapes_every_token(graph: Graph) -> None:
    tree = shown(graph)
    html = render(tree_page(tree, "cook"))
    assert "<北" not in html
    strip = re.findall(r'<small style="font-weight:600">(\d+)</small>', html)
    assert [int(position) for position in strip] == tree.injected.positions[0].tolist()
    drawn = html.split('aria-label="sentence tree"')[1].split("</svg>")[0]
    assert drawn.count("<rect") == len(tree.tokens)
    assert drawn.count("<path") == 3
    matrix = html.split('aria-label="visible matrix"')[1].split("</svg>")[0]
    cells = re.findall(r'width="([\d.]+)" height="([\d.]+)" fill="var\(--(?:series|muted)', matrix)
    area = sum((float(width) + 0.6) / (float(height) + 0.6) for width, height in cells)
    assert area == pytest.approx(tree.visible.sum(), rel=1e-3), "as much is filled as is seen"
    assert html == render(tree_page(shown(graph), "cook"))


def test_tree_lines_do_not_cross_boxes(graph: Graph) -> None:
    """Also if a long branch extends below the next mention."""
    tree = show("库克北京库克北京" * 6, graph, KBert(max_branches=3))
    drawn = render(tree_page(tree, "cook")).split('aria-label="sentence tree"')[1].split("</svg>")[0]
    boxes = [
        tuple(map(float, box))
        for box in re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', drawn)
    ]
    lines = [tuple(map(float, line)) for line in re.findall(r'<path d="M([\d.]+),([\d.]+) V([\d.]+)', drawn)]
    assert len(lines) == 6 * (1 + 3 + 1 + 3)
    assert max(left + width for left, _, width, _ in boxes) < 1000
    for x, top, bottom in lines:
        crossed = [
            box
            for box in boxes
            if box[0] < x < box[0] + box[2] and top < box[1] + box[3] - 1 and box[1] + 1 < bottom
        ]
        assert not crossed


def test_causal_tree_has_a_causal_mask(graph: Graph) -> None:
    tree = show(TEXT, graph, KBert(), causal=True)
    assert "".join(tree.tokens) == "库CEO苹果克正在访问<北首都中国是一座城市京>"
    assert not np.triu(tree.visible, 1).any()


def test_inject_command_prints_the_tree(tmp_path: Path) -> None:
    file = tmp_path / "cook.spo"
    file.write_text("".join("\t".join(fact) + "\n" for fact in FACTS), encoding="utf-8")
    result = CliRunner().invoke(app, ["inject", TEXT, "--graph", str(file)])
    assert result.exit_code == 0, result.output
    assert "首都 → 中国" in result.output
    assert re.search(r"^3 +3 +CEO +库克 +1 +1–5", result.output, re.MULTILINE)
    page = tmp_path / "page.html"
    drawn = CliRunner().invoke(app, ["inject", TEXT, "--graph", str(file), "--html", str(page)])
    assert drawn.exit_code == 0, drawn.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    unknown = CliRunner().invoke(app, ["inject", "nobody", "--graph", str(file)])
    assert "mentions no entity" in str(unknown.exception)

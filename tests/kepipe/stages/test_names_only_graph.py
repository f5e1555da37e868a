"""The names-only control of a graph: names without facts, as injected by K-BERT."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from kepipe.data.batch import MentionSpans
from kepipe.flow.events import Metrics
from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.settings import KBert
from kepipe.stages.artifacts import Graph
from kepipe.stages.names_only_graph import NAMES_ONLY_GRAPH
from kepipe.tokenization.training import train_tokenizer
from kg.schema import Entity, Relation, Triple
from kg.store import open_graph
from kg.writer import write_graph
from tests.support.toy_training import EventRecorder, context_in


def names_only(graph: Path, folder: Path, recorder: EventRecorder | None = None) -> Path:
    context = context_in(folder, recorder)
    NAMES_ONLY_GRAPH.run(
        NAMES_ONLY_GRAPH.inputs(Graph(graph, "", name="graph")), NAMES_ONLY_GRAPH.config(), context
    )
    return context.out


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    entities = [Entity("lima", "lima"), Entity("peru", "peru"), Entity("oslo", "oslo")]
    facts = [Triple("lima", "in", "peru"), Triple("lima", "near", "oslo")]
    write_graph(tmp_path / "graph", entities, [Relation("in", "lies in"), Relation("near", "near")],
                {"train": facts})  # fmt: skip
    return tmp_path / "graph"


def test_names_only_graph_keeps_entities_and_reports_their_number(graph: Path, tmp_path: Path) -> None:
    recorder = EventRecorder()
    made = open_graph(names_only(graph, tmp_path / "a", recorder))
    assert list(made.ids) == ["lima", "peru", "oslo"]
    assert made.triples("train").tolist() == [[0, 0, 0]]
    (logged,) = [event.values for event in recorder.events if isinstance(event, Metrics)]
    assert logged == {"entities": 1}
    assert "1 entities with triples keep only their names" in recorder.notes()


def test_names_only_graph_is_deterministic(graph: Path, tmp_path: Path) -> None:
    folders = [names_only(graph, tmp_path / name) for name in "ab"]
    files = [{file.name: file.read_bytes() for file in sorted(folder.iterdir())} for folder in folders]
    assert files[0] == files[1]


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_names_only_branch_is_the_entitys_own_name(
    graph: Path, tmp_path: Path, kind: Literal["wordpiece", "bpe"]
) -> None:
    """With or without the relation's name, since it has none."""
    words = train_tokenizer(["we saw lima in peru near oslo lies"] * 4, kind, 520)
    row = words.encode([" we saw lima"]).tokens
    lima = words.encode([" lima"]).tokens
    mention = MentionSpans(*(np.array([place]) for place in (0, len(row) - len(lima), len(row))))
    for predicate in (True, False):
        injector = Injector(open_graph(names_only(graph, tmp_path / str(predicate))), words,
                            KBert(predicate=predicate))  # fmt: skip
        tree = injector.build_rows(
            row[None], np.array([len(row)]), mention, np.array([injector.chooser.row("lima")])
        )
        assert tree.tokens[0][tree.branch[0] > 0].tolist() == lima.tolist()
        assert tree.tokens[0][tree.branch[0] == 0].tolist() == row.tolist()

"""Questions about a graph as text: aliases, and held-out subjects."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from kepipe.finetuning.text_to_text import read
from kepipe.stages.artifacts import Graph
from kepipe.stages.graph_dataset import GRAPH_DATASET
from kg.problems import Problems
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph
from tests.support.stages import run_stage


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    towns = [Entity(f"t{number}", f"Town {number}") for number in range(40)]
    countries = [Entity("n", "Norway", aliases=("Norge", "Norway")), Entity("p", "Peru")]
    triples = [Triple(f"t{number}", "in", "np"[number % 2]) for number in range(40)]
    write_graph(tmp_path / "graph", [*towns, *countries], [Relation("in", "country")], {"train": triples})
    return Graph(tmp_path / "graph", "")


def test_questions_as_text_have_aliases_and_held_out_subjects(graph: Graph, tmp_path: Path) -> None:
    config = GRAPH_DATASET.config(ask="text", fewest=5)
    run_stage(GRAPH_DATASET, GRAPH_DATASET.inputs(graph), config, tmp_path / "stage")
    out = tmp_path / "stage" / "out"
    splits = {split: lines(out / f"{split}.jsonl") for split in ("train", "dev", "test")}
    asked = {split: {one["mentions"][0]["entity"] for one in made} for split, made in splits.items()}
    assert [len(asked[split]) for split in splits] == [24, 4, 12]
    assert len(set.union(*asked.values())) == 40
    for record in chain(*splits.values()):
        assert record["aliases"] == (["Norge"] if record["target"] == "Norway" else [])
    examples = list(read(out / "test.jsonl", Problems(strict=True)))
    assert {one.gold for one in examples} == {("Norway", "Norge"), ("Peru",)}
    assert all(one.text[one.mentions[0].start :].startswith("Town") for one in examples)

"""Every base uses injected triples: only the graph has the location of unseen towns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.finetuning.predictor import Predictor
from kepipe.stages.artifacts import FineTuned, Graph
from kepipe.tokenization.training import train_tokenizer
from tests.support.tasks import FILLER
from tests.support.towns import OPPOSITE, SIDE, SYLLABLES, UNSEEN, strict_score, tune, write_world


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Byte-level BPE, as RoBERTa, BART and GPT have: the blank belongs to the word behind it, padding is number 1."""
    folder = tmp_path_factory.mktemp("bpe")
    text = " ".join([*SYLLABLES, *FILLER, "north", "south", "lies", "in", "saw"])
    train_tokenizer([text] * 4, "bpe", 520).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def worlds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The graph, and one with opposite facts."""
    root = tmp_path_factory.mktemp("worlds")
    return {"true": write_world(root / "true", SIDE), "turned": write_world(root / "turned", OPPOSITE)}


def answers(made: FineTuned, graph: Path | None) -> list[str]:
    """The model's predictions for unseen towns."""
    texts = [f"we saw [[{name}|mention]] again" for name in UNSEEN]
    return [
        next(iter(record["predicted"])) for record in Predictor.open(made.folder, graph=graph).predict(texts)
    ]


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("roberta", {}),  # positions begin after the row of padding
        ("bart", {"epochs": 12}),  # the encoder alone is read
        ("t5", {"epochs": 12, "learning_rate": 1e-2}),  # distances of soft positions; no [CLS]
        ("gpt2", {}),  # branches stand before the last token of their mention
    ],
)
def test_every_base_uses_injected_triples(
    family: str, changes: dict[str, Any], pieces: str, worlds: dict[str, Path], tmp_path: Path
) -> None:
    """Trained on other towns it answers, and another graph turns the answers round: they come from nowhere else."""
    base = {"family": family, "layers": 2, "hidden": 32, "heads": 2}
    graph = Graph(worlds["true"], "")
    made = tune(
        tmp_path,
        pieces,
        {"graph": graph},
        base=base,
        knowledge={"method": "k-bert", "max_branches": 1},
        **changes,
    )
    assert strict_score(made) > 0.95
    for graph_folder, truth in ((None, SIDE), (worlds["turned"], OPPOSITE)):
        found = answers(made, graph_folder)
        assert np.mean([answer == truth[name] for answer, name in zip(found, UNSEEN, strict=True)]) > 0.95

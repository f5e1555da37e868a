"""The stage `pretrain` with label objectives: heads, task embeddings, continued training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.config import cache_key_fields
from kepipe.data.document_files import write_documents
from kepipe.flow.events import Metrics
from kepipe.models.folder import load
from kepipe.objectives.table import parts_of, read
from kepipe.stages.artifacts import Linked, Model, Shards
from kepipe.stages.pretrain import PRETRAIN
from kepipe.stages.shards import SHARDS
from tests.support.labelled import document
from tests.support.pretraining import SMALL, TINY
from tests.support.toy_training import EventRecorder, context_in

NAMES = ["mlm", "capitalisation", "token-document", "sentence-reordering", "sentence-distance",
         "discourse-relation", "ir-relevance"]  # fmt: skip
ONE_DOCUMENT = 0.05
"""The held-out share by which one of the sixty documents is."""


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return write_texts(tmp_path_factory.mktemp("texts"), held_out=0.2)


def write_texts(root: Path, held_out: float) -> Shards:
    """Shards of sixty documents about four towns."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    places = ["Rome", "Paris", "Berlin", "Vienna"]

    def sentence() -> str:
        begin = rng.choice(["But it is", "Thus it is", "Then it is", "It is", "It is"])
        return f"{begin} far from {rng.choice(places)} to {rng.choice(places)}."

    documents = [document([sentence() for _ in range(14)], f"d{n}", title=places[n % 4]) for n in range(60)]
    write_documents(root / "documents.jsonl", documents)
    (root / "corpus.json").write_text(f'{{"held_out_share": {held_out}}}')
    context = context_in(root / "work")
    SHARDS.run(
        SHARDS.inputs(Linked(root, "")), SHARDS.config.model_validate({"tokenizer": {"size": 320}}), context
    )
    return Shards(context.out, "digest")


def run(
    texts: Shards, folder: Path, start: Model | None = None, **changes: Any
) -> tuple[Path, EventRecorder]:
    recorder = EventRecorder()
    context = context_in(folder, recorder)
    settings = {**SMALL, "base": {**TINY, "tasks": 7}, "log_every": 1, **changes}
    PRETRAIN.run(PRETRAIN.inputs(texts, start), PRETRAIN.config.model_validate(settings), context)
    return context.out, recorder


def mixture(*names: str, **settings: Any) -> dict[str, Any]:
    return {"name": "mixture", "tasks": True, "of": [{"objective": name} for name in names], **settings}


def test_seven_objectives_train_one_model_in_sequence(texts: Shards, tmp_path: Path) -> None:
    folder, recorder = run(texts, tmp_path, objective=mixture(*NAMES, schedule="sequential"), steps=14)
    assert sorted(recorder.metric("loss")) == list(range(1, 15))
    seen = {name: sorted(recorder.metric(f"{name}.accuracy")) for name in NAMES}
    assert seen == {"mlm": [], **{name: [2 * n + 1, 2 * n + 2] for n, name in enumerate(NAMES) if n}}
    final = {
        name: value
        for event in recorder.events if isinstance(event, Metrics) and event.step is None
        for name, value in event.values.items()
    }  # fmt: skip
    assert all(0 <= final[f"final_held_out_{name}.accuracy"] <= 1 for name in NAMES[1:])
    assert load(folder).config.label_heads.keys() == set(NAMES[1:])
    assert load(folder).config.tasks == 7


def test_label_heads_of_an_earlier_stage_are_kept(texts: Shards, tmp_path: Path) -> None:
    first, _ = run(texts, tmp_path / "1", objective="sentence-distance", steps=30, learning_rate=3e-3)
    second, _ = run(
        texts,
        tmp_path / "2",
        Model(first, "digest"),
        objective=mixture("sentence-distance", "sentence-reordering"),
        steps=0,
    )
    assert load(second).config.label_heads == {"sentence-distance": 3, "sentence-reordering": 9}
    before, after = load(first).state_dict(), load(second).state_dict()
    assert all((after[name] == weight).all() for name, weight in before.items())


def test_label_objective_lowers_the_held_out_loss(texts: Shards, tmp_path: Path) -> None:
    """Capitalisation is learned fast: there are few names."""
    _, recorder = run(texts, tmp_path, objective="capitalisation", steps=60, learning_rate=1e-2)
    losses = recorder.metric("held_out_loss")
    assert losses[60] < 0.2 * losses[0]


def test_knowledge_masking_applies_to_the_masked_lm_of_a_mixture(texts: Shards, tmp_path: Path) -> None:
    section = mixture("mlm", "sentence-distance")
    assert len(parts_of(read(section))) == 2
    _, recorder = run(texts, tmp_path, objective=section, knowledge="ernie-baidu", steps=4)
    assert recorder.metric("loss")


def test_missing_held_out_cases_are_reported_and_training_continues(tmp_path: Path) -> None:
    """With one document there are no pairs of two documents."""
    texts = write_texts(tmp_path / "texts", held_out=ONE_DOCUMENT)
    _, recorder = run(texts, tmp_path, objective=mixture("mlm", "sentence-distance"), steps=2)
    assert "some metrics are not measured on held-out text" in recorder.notes()
    assert sorted(recorder.metric("loss")) == [1, 2]
    assert 2 in recorder.metric("held_out_loss"), "that of masked tokens is logged"
    _, alone = run(texts, tmp_path / "alone", objective="sentence-distance", steps=2)
    assert not alone.metric("held_out_loss")


def test_cache_key_follows_the_content_of_a_file_not_its_path(tmp_path: Path) -> None:
    configs = []
    for name, label in (("a", "cause"), ("b", "cause"), ("c", "contrast")):
        file = tmp_path / name / "pairs.jsonl"
        file.parent.mkdir()
        line = {"text_a": "It rained.", "text_b": "We stayed.", "label": label}
        file.write_text(json.dumps(line) + "\n")
        objective = {"name": "discourse-relation", "file": str(file)}
        settings = {"objective": {"name": "mixture", "of": [{"objective": "mlm"}, {"objective": objective}]}}
        configs.append(PRETRAIN.config.model_validate(settings))
    keys = [(cache_key_fields(config), PRETRAIN.fingerprint(config)) for config in configs]
    assert keys[0] == keys[1]
    assert keys[0][0] == keys[2][0]
    assert keys[0][1] != keys[2][1]

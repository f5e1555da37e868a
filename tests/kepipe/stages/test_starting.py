"""The base of a training stage, and warnings of unused knowledge."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from kepipe.finetuning.settings import FinetuneConfig
from kepipe.knowledge.base import Knowledge
from kepipe.models.base import Base
from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
from kepipe.stages.starting import choose, folder_of, folders, resume_or_load, warn_of_unused
from tests.support.tasks import base_model, tokenizer
from tests.support.toy_training import EventRecorder, context_in

FRESH: dict[str, Any] = {"layers": 1, "hidden": 32, "heads": 2}


@pytest.mark.parametrize(
    ("given", "knows", "warned"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_unused_vectors_are_warned_about(tmp_path: Path, given: bool, knows: bool, warned: bool) -> None:
    recorder = EventRecorder()
    vectors = Vectors(tmp_path, "", name="embed") if given else None
    knowledge = cast(Knowledge, object()) if knows else None
    warn_of_unused(vectors, knowledge, context_in(tmp_path, recorder))
    assert ("the vectors of `embed` are not used" in recorder.notes()) == warned


def config(**settings: Any) -> FinetuneConfig:
    return FinetuneConfig.model_validate({"task": "classification", "dropout": 0.3, **settings})


def test_base_from_a_stage_brings_its_tokenizer(tmp_path: Path) -> None:
    start = base_model(tmp_path)
    base, words = choose(start, config())
    assert (base.trained, base.dropout) == (str(tmp_path), 0.3)
    assert words.vocab_size == tokenizer().vocab_size
    assert folder_of(base) == tmp_path


def test_base_for_frozen_features_has_no_dropout(tmp_path: Path) -> None:
    for start, base in ((base_model(tmp_path), None), (None, {"from": str(tmp_path)})):
        assert choose(start, config(train="head", base=base))[0].dropout == 0


def test_base_of_the_settings_is_used_without_an_input(tmp_path: Path) -> None:
    base_model(tmp_path)
    trained, words = choose(None, config(base={"from": str(tmp_path)}))
    assert (trained.trained, trained.dropout) == (str(tmp_path), 0.3)
    fresh, same = choose(None, config(base=FRESH, tokenizer=str(tmp_path)))
    assert fresh == Base(**FRESH, dropout=0.3)
    assert words.vocab_size == same.vocab_size == tokenizer().vocab_size


def test_new_base_has_no_folder() -> None:
    assert folder_of(Base(**FRESH)) is None


def test_base_with_another_tokenizer_than_the_shards_is_rejected(shards: Shards, tmp_path: Path) -> None:
    own = shards.folder / "tokenizer" / "tokenizer.json"
    (tmp_path / "tokenizer.json").write_bytes(own.read_bytes())
    start = Model(tmp_path, "", name="pretrain")
    base = resume_or_load(start, shards, Base(**FRESH, dropout=0.2))
    assert base == Base.model_validate({"from": str(tmp_path), "dropout": 0.2})
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="`pretrain` was trained with another tokenizer"):
        resume_or_load(start, shards, Base(**FRESH))


def test_knowledge_folders_come_from_the_given_inputs(tmp_path: Path) -> None:
    graph, vectors = Graph(tmp_path / "graph", ""), Vectors(tmp_path / "vectors", "")
    assert folders(graph, None, None) == {"graph": tmp_path / "graph", "vectors": None, "neighbours": None}
    assert folders(None, vectors, graph) == {
        "graph": None,
        "vectors": tmp_path / "vectors",
        "neighbours": tmp_path / "graph",
    }

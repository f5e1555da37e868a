"""Contrastive objectives: the equations by hand, rows, and that training lowers the loss."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.data.document import Document
from kepipe.data.row_batches import RowShape
from kepipe.data.shards import open_shard
from kepipe.objectives import table
from kepipe.objectives.contrastive.loss import ContrastiveLoss, alignment, pool, uniformity
from kepipe.objectives.contrastive.settings import text_rows
from kepipe.objectives.ernie2.labelled import Text
from kepipe.stages.artifacts import Shards
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.conflicts import error_message
from tests.support.pretraining import NAMES, SMALL, TINY, WORDS, write_shards
from tests.support.stages import run_stage

OBJECTIVES = ("simcse", "text-pairs", "entity-descriptions")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    return write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files that the objectives read besides the text."""
    folder = tmp_path_factory.mktemp("files")
    pairs = [
        {
            "text_a": f"the {other} near {name}",
            "text_b": f"{other} north of {name}",
            "negative": f"south of {name}",
        }
        for name in NAMES
        for other in NAMES
    ]
    entities = [
        {"id": f"Q{number}", "label": "place", "description": f"lies near {WORDS[number - 6]} castle"}
        for number in range(6, 16)
    ]
    for name, records in (("text-pairs", pairs), ("entity-descriptions", entities)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return {name: folder / f"{name}.jsonl" for name in OBJECTIVES[1:]}


def objective_of(name: str, files: dict[str, Path], **settings: Any) -> dict[str, Any]:
    return {"name": name, **({"file": files[name]} if name in files else {}), **settings}


def rows_of(name: str, shards: Shards, files: dict[str, Path], **settings: Any) -> tuple[Any, Any, Any]:
    """Settings, a first batch of rows, and the batch that is made of it."""
    tokenizer = load_tokenizer(shards.folder / "tokenizer")
    ids = (shards.folder / "entities.txt").read_text().split()
    shape = RowShape(length=32, tokens=512, begin=True, seed=0)
    text = Text(open_shard(shards.folder / "train"), tokenizer, shape, False, ids)
    objective = table.build(table.read(objective_of(name, files, **settings)), tokenizer, text=text)
    assert objective.rows is not None
    rng = np.random.default_rng(0)
    return tokenizer, objective.rows[0], objective.batch(0, lambda _: None, rng, 0.0)  # type: ignore[arg-type, return-value]


def batch_of(members: list[int], rows: list[int], same: list[int]) -> Batch:
    """Rows of one token each that is pooled."""
    tokens = torch.zeros(len(members), 1, dtype=torch.int64)
    extra = {
        "pooled_places": torch.tensor(rows),
        "pooled_rows": torch.tensor(rows),
        "members": torch.tensor(members),
        "same": torch.tensor(same),
    }
    return Batch(tokens, torch.ones_like(tokens), extra=extra)


def test_contrastive_loss_matches_the_paper() -> None:
    hidden_ND = torch.tensor([[2.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 3.0], [1.0, 0.0], [-1.0, 0.0]])
    losses = ContrastiveLoss(0.5).losses(
        None, (hidden_ND,), batch_of([0, 0, 1, 1, 2, 2], list(range(6)), [0, 1])
    )
    cosine = math.sqrt(0.5)
    first = -math.log(math.exp(cosine / 0.5) / sum(math.exp(c / 0.5) for c in (cosine, 0.0, 1.0, -1.0)))
    second = -math.log(math.exp(1 / 0.5) / sum(math.exp(c / 0.5) for c in (cosine, 1.0, 0.0, 0.0)))
    assert losses["contrastive"].item() == pytest.approx((first + second) / 2, abs=1e-6)
    assert losses["accuracy"].item() == 0.5
    assert losses["alignment"].item() == pytest.approx((2 - 2 * cosine) / 2, abs=1e-6)
    assert losses["uniformity"].item() == pytest.approx(-4.0)
    three = ContrastiveLoss(0.5).losses(
        None, (hidden_ND[[0, 1, 4, 0, 1, 3]],), batch_of([0, 0, 0, 1, 1, 1], list(range(6)), [0, 1, 2])
    )
    assert three["accuracy"].item() == pytest.approx(2 / 3)


def test_duplicate_of_a_partner_is_no_negative() -> None:
    hidden_ND = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.0], [1.0, 0.0]])
    twins = batch_of([0, 0, 1, 1], list(range(4)), [0, 0])
    assert ContrastiveLoss(0.05).losses(None, (hidden_ND,), twins)["contrastive"].item() == 0.0
    others = batch_of([0, 0, 1, 1], list(range(4)), [0, 1])
    assert ContrastiveLoss(0.05).losses(None, (hidden_ND,), others)["contrastive"].item() > 0.6


def test_pooled_vectors_are_means_of_pooled_tokens() -> None:
    batch = batch_of([0, 1], [0, 0, 1], [0])
    pooled_BD = pool(torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]]), batch)
    assert pooled_BD.tolist() == [[2.0, 1.0], [5.0, 5.0]]


def test_alignment_and_uniformity_are_lowest_for_ideal_vectors() -> None:
    circle_ND = torch.tensor([[math.cos(a), math.sin(a)] for a in np.linspace(0, 2 * math.pi, 9)[:-1]])
    assert alignment(circle_ND, circle_ND).item() == 0.0
    assert uniformity(circle_ND).item() < uniformity(circle_ND.abs()).item() < 0.0
    assert uniformity(circle_ND[:1]).item() == 0.0


def test_simcse_pairs_a_sentence_with_itself(shards: Shards, files: dict[str, Path]) -> None:
    tokenizer, rows, batch = rows_of("simcse", shards, files)
    first_BT, second_BT = np.split(rows.tokens, 2)
    np.testing.assert_array_equal(first_BT, second_BT)
    assert all(tokenizer.decode(row[row != tokenizer.pad]).count(".") == 1 for row in first_BT)
    assert len(batch.extra["pooled_places"]) == (rows.tokens != tokenizer.pad).sum()
    firsts = rows_of("simcse", shards, files, pooling="first")[2].extra["pooled_places"]
    assert (firsts % rows.tokens.shape[1] == 0).all()
    assert len(firsts) == len(rows.tokens)


def test_text_pairs_of_a_line_are_partners(shards: Shards, files: dict[str, Path]) -> None:
    tokenizer, rows, _ = rows_of("text-pairs", shards, files)
    texts = [tokenizer.decode(row[row != tokenizer.pad]).split() for row in rows.tokens]
    thirds = [texts[start : start + len(texts) // 3] for start in range(0, len(texts), len(texts) // 3)]
    for first, second, negative in zip(*thirds, strict=True):
        assert first[-1] == second[-1] == negative[-1]
        assert ("north" in second, "south" in negative) == (True, True)


def test_mention_is_paired_with_the_description_of_its_entity(shards: Shards, files: dict[str, Path]) -> None:
    tokenizer, rows, batch = rows_of("entity-descriptions", shards, files)
    width = rows.tokens.shape[1]
    half = len(rows.tokens) // 2
    for row in range(half):
        places = [place % width for place in batch.extra["pooled_places"].tolist() if place // width == row]
        name = tokenizer.decode(rows.tokens[row, places])
        description = tokenizer.decode(rows.tokens[half + row])
        assert f"near {WORDS[len(name) - 6]} castle" in description
    assert (rows.row_labels == np.repeat([0, 1], half)).all()


def test_missing_texts_are_rejected(tmp_path: Path, shards: Shards) -> None:
    (tmp_path / "pairs.jsonl").write_text('{"text_a": "One."}\n')
    with pytest.raises(ValueError, match=r"pairs\.jsonl:1: expected text_a, text_b"):
        rows_of("text-pairs", shards, {"text-pairs": tmp_path / "pairs.jsonl"})
    (tmp_path / "none.jsonl").write_text('{"id": "Q0", "description": "Nobody."}\n')
    with pytest.raises(ValueError, match="no entity that the text names has a `description`"):
        rows_of("entity-descriptions", shards, {"entity-descriptions": tmp_path / "none.jsonl"})


@pytest.mark.parametrize("name", OBJECTIVES)
def test_contrastive_training_lowers_the_held_out_loss(
    name: str, shards: Shards, files: dict[str, Path], tmp_path: Path
) -> None:
    settings = {
        **SMALL,
        "base": {**TINY, "dropout": 0.1},
        "steps": 30,
        "learning_rate": 3e-3,
        "eval_every": 30,
    }
    config = PretrainConfig.model_validate({**settings, "objective": objective_of(name, files)})
    events = run_stage(PRETRAIN, PRETRAIN.inputs(shards), config, tmp_path)
    logged = [event.values for event in events if hasattr(event, "values")]
    losses = [values["held_out_loss"] for values in logged if "held_out_loss" in values]
    assert losses[-1] < losses[0]
    final = {key: value for values in logged for key, value in values.items()}
    assert final["alignment"] >= 0 > final["uniformity"]
    assert 0 <= final["final_held_out_accuracy"] <= 1


def test_lstm_trains_with_simcse(shards: Shards, tmp_path: Path) -> None:
    base = {"family": "lstm", "embedding": 32, "hidden": 32, "bidirectional": True, "dropout": 0.1}
    settings = {**SMALL, "base": base, "objective": "simcse"}
    config = PretrainConfig.model_validate(settings)
    run_stage(PRETRAIN, PRETRAIN.inputs(shards), config, tmp_path)
    assert (tmp_path / "out" / "model.safetensors").exists()


def test_simcse_needs_dropout(tmp_path: Path) -> None:
    stage = "  pretrain: {{base: {{family: bert{}}}, objective: {}}}\n"
    assert "set `dropout: 0.1`" in error_message(tmp_path, stage.format("", "simcse"))
    assert error_message(tmp_path, stage.format(", dropout: 0.1", "simcse")) == ""


@pytest.mark.parametrize("family", ["elmo", "xlnet", "transformer-xl", "gpt2", "t5"])
@pytest.mark.parametrize("name", OBJECTIVES)
def test_other_families_are_refused_with_their_own_objectives(
    tmp_path: Path, files: dict[str, Path], family: str, name: str
) -> None:
    file = f", file: {files[name]}" if name in files else ""
    settings = f"base: {{family: {family}, dropout: 0.1}}, objective: {{name: {name}{file}}}"
    message = error_message(tmp_path, f"  pretrain: {{{settings}}}\n")
    own = {"elmo": "bidirectional-lm", "xlnet": "permutation-lm", "t5": "mass"}.get(family, "causal-lm")
    assert name in message
    assert f"set `objective: {own}`" in message


def test_uniformity_needs_two_texts() -> None:
    for pairs, counted in ((1, 0), (2, 1)):
        batch = batch_of([0] * pairs + [1] * pairs, list(range(2 * pairs)), list(range(pairs)))
        assert ContrastiveLoss(0.5).counts(batch) == {
            "contrastive": pairs, "accuracy": pairs, "alignment": pairs, "uniformity": counted,
        }  # fmt: skip


def test_texts_of_a_file_have_a_row_each_and_no_entities() -> None:
    documents = [Document("a", "One town. Two towns."), Document("b", "Three")]
    shard, examples = text_rows(Path("own.jsonl"), documents, load_tokenizer("minilm"), 16)
    assert (np.asarray(shard.entities) == -1).all()
    assert len(shard.entities) == 7
    assert examples.lengths.tolist() == [6 + 2, 1 + 2]

"""Vectors of texts equal the reference's; an exported folder states its pooling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.inference.similarity import measure, read_similar
from kepipe.inference.text_vectors import open_text_vectors, write_vectors
from kepipe.model_names import minilm_folder
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig
from tests.support.pretraining import SMALL, TINY, write_shards
from tests.support.stages import run_stage

TEXTS = [
    "A cat sits on the mat.",
    "Aspirin.",
    "The enzyme is blocked by a drug that was given to the patients.",
]


def test_text_vectors_equal_transformers() -> None:
    from transformers import AutoModel, AutoTokenizer

    vectors = open_text_vectors(minilm_folder())
    ours_ND = vectors(TEXTS)
    encoded = AutoTokenizer.from_pretrained(minilm_folder())(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden_BTD = AutoModel.from_pretrained(minilm_folder()).eval()(**encoded).last_hidden_state
    mask_BT1 = encoded["attention_mask"][..., None]
    mean_ND = torch.nn.functional.normalize((hidden_BTD * mask_BT1).sum(1) / mask_BT1.sum(1), dim=1)
    np.testing.assert_allclose(ours_ND, mean_ND, atol=2e-5)
    first_ND = torch.nn.functional.normalize(hidden_BTD[:, 0], dim=1)
    np.testing.assert_allclose(
        open_text_vectors(minilm_folder(), pooling="first")(TEXTS), first_ND, atol=2e-5
    )


def test_writing_text_vectors_resumes(tmp_path: Path) -> None:
    vectors = open_text_vectors(minilm_folder())
    whole = bytes(write_vectors(tmp_path / "whole.f16", TEXTS, vectors))
    (tmp_path / "part.f16").write_bytes(whole[: 2 * 384 + 100])
    on_ND = write_vectors(tmp_path / "part.f16", TEXTS, vectors)
    assert on_ND.shape == (3, 384)
    np.testing.assert_allclose(on_ND.astype(np.float32), vectors(TEXTS), atol=2e-3)


def test_similar_pairs_are_scored_by_spearman(tmp_path: Path) -> None:
    pairs = [
        ("A cat sits.", "A cat is sitting.", 5),
        ("A cat sits.", "A dog sleeps.", 2),
        ("A cat sits.", "Tax.", 0),
    ]
    rows = "".join(f"{first}\t{second}\t{score}\n" for first, second, score in pairs)
    (tmp_path / "pairs.tsv").write_text(f"text_a\ttext_b\tscore\n{rows}")
    reached = measure(open_text_vectors(minilm_folder()), read_similar(tmp_path / "pairs.tsv"))
    assert reached.spearman == pytest.approx(1.0)
    assert 0 < reached.alignment < 1
    assert reached.uniformity < 0
    result = CliRunner().invoke(
        app, ["vectors", "similarity", "minilm", "--file", str(tmp_path / "pairs.tsv")]
    )
    assert result.output.startswith("minilm: Spearman 1.000 over 3 pairs, alignment 0.")
    (tmp_path / "bad.jsonl").write_text('{"text_a": "One.", "text_b": "Two.", "score": "high"}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl:1: expected `text_a`"):
        read_similar(tmp_path / "bad.jsonl")


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_exported_text_encoder_has_sentence_transformers_layout_and_vectors(
    tmp_path: Path, pooling: Literal["first", "mean"]
) -> None:
    """By the layout that sentence-transformers documents: modules in order, each with its class and folder."""
    from sentence_transformers import SentenceTransformer

    shards = write_shards(tmp_path / "shards")
    objective = {"name": "simcse", "pooling": pooling}
    settings = {**SMALL, "base": {**TINY, "dropout": 0.1}, "steps": 2, "objective": objective}
    run_stage(PRETRAIN, PRETRAIN.inputs(shards), PretrainConfig.model_validate(settings), tmp_path / "work")
    exported = CliRunner().invoke(app, ["export", str(tmp_path / "work" / "out"), str(tmp_path / "hf")])
    assert exported.exit_code == 0, exported.output
    modules = json.loads((tmp_path / "hf" / "modules.json").read_text())
    assert [(each["idx"], each["path"], each["type"].rpartition(".")[2]) for each in modules] == [
        (0, "", "Transformer"),
        (1, "1_Pooling", "Pooling"),
        (2, "2_Normalize", "Normalize"),
    ]
    about = json.loads((tmp_path / "hf" / "1_Pooling" / "config.json").read_text())
    assert about["word_embedding_dimension"] == 32
    assert about["pooling_mode_cls_token"] == (pooling == "first")
    assert about["pooling_mode_mean_tokens"] == (pooling == "mean")
    ours = open_text_vectors(tmp_path / "work" / "out")
    assert ours.pooling == pooling
    ours_ND = ours(TEXTS)
    assert np.ptp(ours_ND, axis=0).max() > 0.05, "the texts have different vectors"
    theirs = SentenceTransformer(str(tmp_path / "hf"), device="cpu")
    np.testing.assert_allclose(theirs.encode(TEXTS), ours_ND, atol=2e-5)

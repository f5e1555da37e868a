"""A fine-tuned model in transformers alone: the same logits from the same text, labels by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.finetuning import fine_tuned
from kepipe.finetuning.encoding import encode_rows
from kepipe.finetuning.export import export
from kepipe.finetuning.fine_tuned import FineTunedModel, TaskSpec, with_head
from kepipe.finetuning.markup import ask
from kepipe.finetuning.model_card import write_card
from kepipe.inference.opening import load_encoder
from kepipe.knowledge.opening import KNOWLEDGE_FILE
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.tasks import base_model

TEXTS = ["we saw a lovely old day", "the rain was awful and long", "fine"]
LABELS = ("bad", "good", "open")


def tuned(folder: Path, task: str, family: str = "bert", **settings: Any) -> Path:
    """A model with a random head, large enough that the logits differ."""
    start = base_model(folder / "base", family)
    tokenizer = load_tokenizer(start.folder)
    spec = TaskSpec(task, LABELS, length=32, **settings)
    model = with_head(load_encoder(start.folder), spec, tokenizer)
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.normal_(0.0, 2.0, generator=torch.Generator().manual_seed(3))
    (folder / "tuned").mkdir()
    fine_tuned.save(folder / "tuned", FineTunedModel(spec, model, tokenizer), {"stage": "finetune"})
    return folder / "tuned"


def logits(source: Path, texts: list[str]) -> list[np.ndarray[Any, Any]]:
    """Ours, [cases, L] of each text."""
    opened = fine_tuned.load(source)
    examples = [ask(opened.spec.task, text, "en", str(number)) for number, text in enumerate(texts)]
    rows = encode_rows(examples, opened.row_format)
    with torch.inference_mode():
        return [opened.model(opened.collator([row])).numpy() for row in rows]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_exported_text_classifier_has_the_same_logits(tmp_path: Path, family: str) -> None:
    source = tuned(tmp_path, "classification", family)
    assert export(tmp_path / "out", source) == "text-classification"
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    assert model.config.id2label == dict(enumerate(LABELS))
    assert model.config.label2id["good"] == 1
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    for text, ours in zip(TEXTS, logits(source, TEXTS), strict=True):
        with torch.inference_mode():
            theirs = model(**tokenizer(text, return_tensors="pt")).logits.numpy()
        assert np.abs(ours).max() > 1
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)


def test_exported_pair_classifier_has_the_same_logits(tmp_path: Path) -> None:
    source = tuned(tmp_path, "pairs")
    export(tmp_path / "out", source)
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    (ours,) = logits(source, [" ||| ".join(TEXTS[:2])])
    with torch.inference_mode():
        theirs = model(**tokenizer(*TEXTS[:2], return_tensors="pt")).logits.numpy()
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_exported_tagger_has_the_same_logits_per_word(tmp_path: Path, family: str) -> None:
    source = tuned(tmp_path, "tagging", family)
    assert export(tmp_path / "out", source) == "token-classification"
    model = AutoModelForTokenClassification.from_pretrained(tmp_path / "out").eval()
    opened = fine_tuned.load(source)
    (row,) = encode_rows([ask("tagging", TEXTS[0], "en", "1")], opened.row_format)
    with torch.inference_mode():
        theirs = model(torch.tensor([row.tokens])).logits.numpy()[0]
    (ours,) = logits(source, TEXTS[:1])
    assert len(ours) == len(TEXTS[0].split())
    np.testing.assert_allclose(theirs[list(row.read_positions)], ours, rtol=1e-4, atol=1e-4)


def test_export_rejects_a_tokenizer_larger_than_the_model(tmp_path: Path) -> None:
    source = tuned(tmp_path, "classification")
    values = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    values["model"]["vocab"]["moonlight"] = 10**7
    (source / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ValueError, match=r": the tokenizer has ids up to 10,000,000, the model vectors for"):
        fine_tuned.load(source)


def test_export_without_a_hugging_face_class_is_rejected(tmp_path: Path) -> None:
    for number, (task, family, settings, message) in enumerate(
        (
            ("relations", "bert", {}, "no class for relations"),
            ("classification", "gpt2", {}, "head for gpt2 differs from the trained one"),
            ("classification", "bert", {"mean": True}, "reads the mean of a row"),
            ("classification", "bert", {"mixture": True}, "reads a mixture of all layers"),
            ("tagging", "bert", {"decoding": "crf"}, "decoded by a CRF"),
        )
    ):
        source = tuned(tmp_path / str(number), task, family, **settings)
        with pytest.raises(ValueError, match=message):
            export(tmp_path / "out", source)
        assert not (tmp_path / "out").exists()


def test_export_notes_knowledge_that_is_not_exported(tmp_path: Path) -> None:
    source = tuned(tmp_path, "classification")
    (source / KNOWLEDGE_FILE).write_text(json.dumps({"methods": [{"method": "k-bert"}]}))
    notes: list[str] = []
    export(tmp_path / "out", source, notes.append)
    (note,) = notes
    assert "the knowledge of k-bert is not exported" in note


def test_export_command_writes_head_labels_and_card(tmp_path: Path) -> None:
    source = tuned(tmp_path, "classification")
    done = CliRunner().invoke(app, ["export", str(source), str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'pipeline_tag: "text-classification"' in card
    assert 'Labels: "bad", "good", "open".' in card
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"]["2"] == "open"


def test_exported_card_has_the_scores(tmp_path: Path) -> None:
    from kepipe.studies.intervals import Estimate
    from kepipe.studies.scores import FILE, MODEL, Scores, write_scores

    source = tuned(tmp_path, "tagging")
    write_scores(source / FILE, Scores({MODEL: {"test": {"span_f1": Estimate(0.75, 0.5, 0.9, 40, 40)}}}))
    write_card(tmp_path, source, "token-classification")
    assert "| test | span_f1 | 0.750 | 0.500 to 0.900 | 40 |" in (tmp_path / "README.md").read_text()

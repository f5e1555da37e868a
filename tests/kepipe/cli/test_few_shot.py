"""`kepipe few-shot` with models of several kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.tokenization.training import train_tokenizer
from tests.support.yes_model import write_yes_model


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    records = [{"text": "good", "label": "yes"}, {"text": "bad", "label": "no"}]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    settings = {"task": "classification", "questions": "data.jsonl", "examples": "data.jsonl",
                "template": "{text} {answer}", "instruction": ""}  # fmt: skip
    (tmp_path / "asked.yaml").write_text(json.dumps(settings))
    return tmp_path / "asked.yaml"


def few_shot(*arguments: object) -> str:
    ended = CliRunner().invoke(app, ["few-shot", *map(str, arguments)])
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_calibration_corrects_a_model_with_a_constant_answer(asked: Path, tmp_path: Path) -> None:
    model = write_yes_model(tmp_path)
    output = few_shot(model, asked, "--shots", "0", "--normalise", "none")
    assert "asked: 2 questions, 50.0% right by chance" in output
    assert " 50.0%" in output.splitlines()[2]
    assert "accuracy 0.500" in output
    calibrated = few_shot(model, asked, "--shots", "0", "--normalise", "none", "--calibrate", "--show")
    assert "100.0%" in calibrated
    assert "✓ {'text': 'bad', 'second': ''} → no" in calibrated


def test_few_shot_compares_models_on_a_page(asked: Path, tmp_path: Path) -> None:
    other = tmp_path / "gpt"
    tokenizer = train_tokenizer(["good yes bad no"] * 4, "bpe", 420)
    tokenizer.save(tmp_path / "tokenizer")
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), tokenizer.vocab_size, 0)
    folder.save(other, model, tokenizer=tmp_path / "tokenizer")
    page = tmp_path / "page.html"
    output = few_shot(write_yes_model(tmp_path), asked, "--beside", other, "--shots", "0,1", "--page", page)
    assert "yes, 18 parameters" in output, "7 probabilities and weights, and 4 of pairs"
    weights = sum(weight.numel() for weight in model.parameters())
    assert f"gpt, {weights:,} parameters" in output
    html = page.read_text(encoding="utf-8")
    assert 'id="size"' in html
    assert "0 examples" in html


def test_few_shot_rejects_the_same_model_twice(asked: Path) -> None:
    ended = CliRunner().invoke(app, ["few-shot", "gpt", str(asked), "--beside", "gpt"])
    assert str(ended.exception) == "the same model is given twice"

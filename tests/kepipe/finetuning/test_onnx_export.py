"""ONNX export of a fine-tuned model by the command line: tokenizer and graph alone give the model's logits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.finetuning import fine_tuned
from kepipe.finetuning.encoding import encode_rows
from kepipe.finetuning.fine_tuned import FineTunedModel, TaskSpec, with_head
from kepipe.finetuning.markup import ask
from kepipe.finetuning.onnx_export import export
from kepipe.inference.opening import load_encoder
from kepipe.models import folder as folders
from kepipe.models.networks.families import NETWORKS, build
from kepipe.models.static.config import StaticConfig
from kepipe.models.static.encoder import StaticEncoder
from kepipe.tokenization.tokenizer import load_tokenizer
from kg.regular_files import read_json
from tests.support.onnx import run
from tests.support.tasks import base_model, tokenizer

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

TEXTS = ["we saw a lovely old day", "the rain was awful and long", "fine"]
LABELS = ("bad", "good", "open")
NETWORK: dict[str, dict[str, Any]] = {
    "bilstm": {"family": "lstm", "bidirectional": True},
    "lstm": {"family": "lstm"},
    "cnn": {"family": "cnn", "widths": [3, 5]},
}


def start(folder: Path, name: str, sizes: dict[str, int]) -> Path:
    """A new encoder's folder."""
    if name not in (*NETWORK, "static"):
        return base_model(folder, name).folder
    words = tokenizer()
    words.save(folder)
    if name == "static":
        config = StaticConfig(
            family="glove", vocabulary=words.vocab_size, hidden=8, special=tuple(words.special.tolist())
        )
        vectors = StaticEncoder(config)
        folders.save(folder, vectors, tokenizer=folder)
    else:
        settings = {"embedding": 8, "hidden": 16, **NETWORK[name], **sizes}
        section = NETWORKS[settings["family"]].section.model_validate(settings)
        folders.save(folder, build(section, words, seed=1), tokenizer=folder)
    return folder


def tuned(folder: Path, name: str, task: str, **settings: Any) -> Path:
    """A model with a random head, large enough that its predictions differ."""
    source = start(folder / "base", name, settings.pop("sizes", {}))
    spec = TaskSpec(task, settings.pop("labels", LABELS), length=32, **settings)
    model = with_head(load_encoder(source), spec, load_tokenizer(source))
    with torch.no_grad():
        for parameter in model.head.parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 2.0, generator=torch.Generator().manual_seed(3))
    (folder / "tuned").mkdir()
    made = FineTunedModel(spec, model, load_tokenizer(source))
    fine_tuned.save(folder / "tuned", made, {"stage": "finetune"})
    return folder / "tuned"


def tokenized(folder: Path, texts: list[str]) -> dict[str, torch.Tensor]:
    """Inputs of the ONNX graph from the exported tokenizer, for texts or pairs."""
    encoder = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rows = encoder.encode_batch([tuple(text.split(" ||| ")) if "|||" in text else text for text in texts])
    values = {
        "input_ids": [row.ids for row in rows],
        "attention_mask": [row.attention_mask for row in rows],
        "token_type_ids": [row.type_ids for row in rows],
    }
    ports = read_json(folder / "onnx.json")["inputs"]
    return {port["name"]: torch.tensor(values[port["name"]]) for port in ports}


@pytest.mark.parametrize(
    ("name", "task", "settings"),
    [
        ("bert", "classification", {"mean": True, "mixture": True}),
        ("gpt2", "classification", {}),
        ("bilstm", "classification", {}),
        ("lstm", "tagging", {}),
        ("cnn", "multi-label", {}),
        ("static", "classification", {}),
        ("bert", "pairs", {}),
        ("bert", "similarity", {"labels": ("0.0", "5.0")}),
    ],
)
def test_onnx_model_has_the_same_inputs_and_logits(
    name: str, task: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    source = tuned(tmp_path, name, task, **settings)
    made = CliRunner().invoke(app, ["export", str(source), str(tmp_path / "out"), "--to", "onnx"])
    assert made.exit_code == 0, made.output
    opened = fine_tuned.load(source)
    texts = [f"{text} ||| {other}" for text, other in zip(TEXTS, TEXTS[::-1], strict=True)]
    asked = texts if task in ("pairs", "similarity") else TEXTS
    rows = encode_rows([ask(task, text, "en", text) for text in asked], opened.row_format)
    out = tmp_path / "out"
    inputs, ports = tokenized(out, asked), read_json(out / "onnx.json")
    assert inputs.keys() == {port["name"] for port in ports["inputs"]}
    for row, tokens_T in zip(rows, inputs["input_ids"], strict=True):
        assert tokens_T[: len(row.tokens)].tolist() == row.tokens.tolist()
    (found,) = run(out / "model.onnx", inputs).values()
    with torch.inference_mode():
        logits = opened.model(opened.collator(rows)).numpy()
    if task == "tagging":
        found = np.concatenate([found[n, list(row.read_positions)] for n, row in enumerate(rows)])
    if task == "similarity":
        logits = 5 * logits[:, 0]
    assert logits.std() > 0.1
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)
    assert ports["labels"] == (None if task == "similarity" else list(LABELS))


def test_onnx_export_of_unsupported_models_is_rejected(tmp_path: Path) -> None:
    for number, (name, task, settings, message) in enumerate(
        (
            ("bert", "relations", {}, "takes more than logits"),
            ("bert", "tagging", {"decoding": "crf"}, "decoded by a CRF"),
        )
    ):
        source = tuned(tmp_path / str(number), name, task, **settings)
        with pytest.raises(ValueError, match=message):
            export(tmp_path / "out", source)
        assert not (tmp_path / "out").exists()


def test_int8_onnx_is_smaller_with_close_logits(tmp_path: Path) -> None:
    source = tuned(tmp_path, "bilstm", "classification", sizes={"embedding": 64, "hidden": 128})
    inputs, found = None, []
    for number, more in enumerate(([], ["--int8"])):
        place = tmp_path / str(number)
        made = CliRunner().invoke(app, ["export", str(source), str(place), "--to", "onnx", *more])
        assert made.exit_code == 0, made.output
        inputs = inputs or tokenized(place, TEXTS)
        found.append((run(place / "model.onnx", inputs)["logits"], (place / "model.onnx").stat().st_size))
    (exact, large), (rounded, small) = found
    assert small < 0.4 * large
    assert 0 < np.abs(exact - rounded).max() < 0.1 * exact.std()
    assert read_json(tmp_path / "1" / "onnx.json")["weights"] == "int8"
    lacking = CliRunner().invoke(app, ["export", str(source), str(tmp_path / "other"), "--int8"])
    assert "add --to onnx" in lacking.output

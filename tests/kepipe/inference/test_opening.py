"""Model folders are opened by their kind: kepipe's, Hugging Face's, and one that a row adds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from kepipe.data.batch import Batch
from kepipe.inference.opening import KINDS, open_model, read_config
from kepipe.inference.word_vectors import vectors_of_folder
from kepipe.models import folder
from kepipe.models.any_base import TRAINED
from kepipe.models.any_base import build as build_any
from kepipe.models.base import Base, build
from kepipe.models.hf import huggingface
from kepipe.models.pretrained import locate
from kepipe.models.protocols import Encoder, LanguageModel, MaskedLanguageModel, TrainableModel
from kepipe.models.static.config import StaticConfig
from kepipe.models.static.encoder import StaticEncoder
from kepipe.models.transformer import Transformer
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.tokenization.training import train_tokenizer

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(["The moon goes around the earth."] * 4, "bpe", 420).save(made)
    return made


def small(family: str) -> Transformer:
    return build(Base(family=family, layers=1, hidden=32, heads=2), 420, 0).eval()


@pytest.mark.parametrize("family", ["bert", "gpt2", "bart"])
def test_own_and_hugging_face_folders_open_the_same_model(
    family: str, tokenizer: Path, tmp_path: Path
) -> None:
    model, places = small(family), (tmp_path / "ours", tmp_path / "theirs")
    folder.save(places[0], model, tokenizer=tokenizer)
    huggingface.save(places[1], model, tokenizer)
    tokens = torch.arange(4, 10)[None]
    batch = Batch(tokens, torch.ones_like(tokens))
    with torch.no_grad():
        expected = model.encode(batch)
    for place in places:
        opened, capabilities = open_model(place), read_config(place).capabilities
        assert isinstance(opened.encoder, Encoder)
        with torch.no_grad():
            torch.testing.assert_close(opened.encoder.encode(batch), expected, atol=1e-5, rtol=1e-5)
        assert isinstance(opened.language_model, LanguageModel) == ("language-model" in capabilities)
        assert isinstance(opened.masked_language_model, MaskedLanguageModel) == ("masked-lm" in capabilities)
        assert opened.knowledge is None


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "save", [lambda place, model, tokenizer: folder.save(place, model, tokenizer=tokenizer), huggingface.save]
)
def test_non_finite_weights_are_rejected_in_every_format(
    save: Callable[[Path, Transformer, Path], None], value: float, tokenizer: Path, tmp_path: Path
) -> None:
    """One broken number in one weight: the answers would be NaN, with nothing to tell them from answers."""
    save(tmp_path, small("bert"), tokenizer)
    open_model(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    name = next(name for name in sorted(weights) if name.endswith("weight") and "norm" not in name.lower())
    weights[name].view(-1)[-1] = value
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(
        ValueError, match=rf"model\.safetensors: '{re.escape(name)}' of \d+ weights hold values that"
    ):
        open_model(tmp_path)


def test_missing_weights_of_a_folder_are_noted() -> None:
    notes: list[str] = []
    open_model(locate("minilm"), note=notes.append)
    assert any("initialised randomly" in note for note in notes)


def test_unknown_format_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"format": "kepipe-other/1"}))
    with pytest.raises(ValueError, match="not the config of a kepipe model folder"):
        open_model(tmp_path)


def test_every_kind_of_model_is_documented() -> None:
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    for name in KINDS:
        assert f"`{name}`" in glossary


@pytest.mark.parametrize("family", ["bert", "lstm", "word2vec"])
@pytest.mark.parametrize("opens", [open_model, vectors_of_folder])
def test_tokenizer_larger_than_the_model_is_rejected(
    family: str, opens: Callable[[Path], object], tokenizer: Path, tmp_path: Path
) -> None:
    """With the folder's name, whichever way the model is opened; else the first text with such a token would end in a
    traceback."""
    if family == "bert":
        model: TrainableModel = small("bert")
    elif family == "lstm":
        section = TRAINED["lstm"].section.model_validate(
            {"family": "lstm", "layers": 1, "hidden": 16, "embedding": 16}
        )
        model = build_any(section, load_tokenizer(tokenizer), 0)
    else:
        model = StaticEncoder(StaticConfig(family="word2vec", vocabulary=420, hidden=16))
    folder.save(tmp_path, model, tokenizer=tokenizer)
    assert opens(tmp_path) is not None
    values = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    values["model"]["vocab"]["moonlight"] = 10**7
    (tmp_path / "tokenizer.json").write_text(json.dumps(values), encoding="utf-8")
    count = 420 if family != "lstm" else load_tokenizer(tokenizer).vocab_size
    told = rf"^{re.escape(str(tmp_path))}: the tokenizer has ids up to 10,000,000, the model vectors for {count} tokens"
    with pytest.raises(ValueError, match=told):
        opens(tmp_path)

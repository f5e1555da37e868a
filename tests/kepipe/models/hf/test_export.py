"""An exported folder gives, in transformers alone, the rows and end tokens of training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer as Backend
from tokenizers.models import WordLevel
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.models.hf.export import export, with_rows
from kepipe.models.pretrained import from_pretrained, locate
from kepipe.models.transformer import Transformer
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kepipe.tokenization.training import train_tokenizer

TEXTS = [f"the rose number {n} stands beside the rose number {n + 1}" for n in range(200)]
SIZES: dict[str, Any] = {"layers": 1, "hidden": 32, "heads": 2}


def made(family: Any, kind: str, folder: Path) -> tuple[Transformer, Tokenizer]:
    """A new model of the family with a trained tokenizer, both exported to `folder`."""
    tokenizer = train_tokenizer(TEXTS, kind, 500, lowercase=False)
    tokenizer.save(folder / "ours")
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    model = build(Base(family=family, **SIZES), tokenizer.vocab_size, 0, special=special).eval()
    export(folder / "theirs", model, folder / "ours")
    return model, tokenizer


@pytest.mark.parametrize(("family", "kind"), [
    ("bert", "wordpiece"), ("roberta", "bpe"), ("roberta", "wordpiece"), ("bart", "bpe"), ("gpt2", "bpe"),
    ("t5", "unigram"), ("t5-v1.1", "unigram"),
])  # fmt: skip
def test_exported_tokenizer_adds_the_special_tokens_of_training(
    family: str, kind: str, tmp_path: Path
) -> None:
    model, ours = made(family, kind, tmp_path)
    text = ours.encode(["the rose"]).tokens.tolist()
    rows = {"gpt2": text, "t5": [*text, ours.sep], "t5-v1.1": [*text, ours.sep]}
    theirs = AutoTokenizer.from_pretrained(tmp_path / "theirs")
    assert theirs("the rose")["input_ids"] == rows.get(family, [ours.cls, *text, ours.sep])
    assert (theirs.pad_token_id, theirs.eos_token_id) == (ours.pad, ours.sep)
    assert theirs.decode(theirs("the rose")["input_ids"], skip_special_tokens=True).strip() == "the rose"
    if model.config.positions:
        assert theirs.model_max_length == model.config.positions
    masked = theirs(f"the rose {theirs.mask_token} stands")["input_ids"]
    assert [id for id in masked if id not in ours.special] == ours.encode(
        ["the rose", " stands"]
    ).tokens.tolist()
    again = load_tokenizer(tmp_path / "theirs")
    assert (again.named, again.encode(TEXTS).tokens.tolist()) == (
        ours.named,
        ours.encode(TEXTS).tokens.tolist(),
    )


def test_exported_t5_tokenizer_needs_no_begin_token() -> None:
    """T5's own vocabulary has no token that begins a text."""
    backend = Backend(WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "a": 3}, unk_token="<unk>"))
    bare = Tokenizer(backend, {"pad": "<pad>", "sep": "</s>", "unk": "<unk>"})
    theirs = Backend.from_str(json.dumps(with_rows(bare, "t5")))
    assert theirs.encode("a").tokens == ["a", "</s>"]


def test_exported_tokenizer_gives_pairs_segments(tmp_path: Path) -> None:
    _, ours = made("bert", "wordpiece", tmp_path)
    first, second = (ours.encode([text]).tokens.tolist() for text in ("the rose", "a rose"))
    row = AutoTokenizer.from_pretrained(tmp_path / "theirs")("the rose", "a rose")
    assert row["input_ids"] == [ours.cls, *first, ours.sep, *second, ours.sep]
    assert row["token_type_ids"] == [0] * (len(first) + 2) + [1] * (len(second) + 1)


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_exported_roberta_round_trips_with_any_padding_id(kind: str, tmp_path: Path) -> None:
    """`AutoModel` gives the hidden states of ours, and so does the reimported model."""
    model, ours = made("roberta", kind, tmp_path)
    assert model.config.position_offset == ours.pad + 1
    text = ours.encode(["the rose stands"]).tokens.tolist()
    tokens = torch.tensor([[ours.cls, *text, ours.sep]])
    batch = Batch(tokens, torch.ones_like(tokens))
    theirs = AutoModel.from_pretrained(tmp_path / "theirs").eval()
    again = from_pretrained(str(tmp_path / "theirs")).eval()
    assert again.config == model.config
    with torch.no_grad():
        expected = model.encode(batch)
        torch.testing.assert_close(theirs(tokens).last_hidden_state, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(again.encode(batch), expected)


@pytest.mark.parametrize(
    ("family", "kind"), [("gpt2", "bpe"), ("bart", "bpe"), ("t5", "unigram"), ("t5-v1.1", "unigram")]
)
def test_exported_generation_config_has_our_special_tokens(family: str, kind: str, tmp_path: Path) -> None:
    model, ours = made(family, kind, tmp_path)
    auto = AutoModelForCausalLM if family == "gpt2" else AutoModelForSeq2SeqLM
    settings = auto.from_pretrained(tmp_path / "theirs").generation_config
    assert (settings.eos_token_id, settings.pad_token_id) == (ours.sep, ours.pad)
    assert settings.decoder_start_token_id == model.config.start
    again = from_pretrained(str(tmp_path / "theirs")).config
    assert replace(again, width=model.config.width) == model.config


def test_exported_pretrained_tokenizer_keeps_its_own_rows(tmp_path: Path) -> None:
    export(tmp_path, from_pretrained("minilm"), locate("minilm"))
    ours, theirs = (AutoTokenizer.from_pretrained(place) for place in (locate("minilm"), tmp_path))
    for texts in (("a rose", "is a rose"), ("a [MASK] is",)):
        assert theirs(*texts).data == ours(*texts).data

"""Marker tokens of a task: spare embedding rows if available, otherwise added rows."""

from __future__ import annotations

from pathlib import Path

import torch

from kepipe.finetuning.marker_tokens import place_markers
from kepipe.models.base import Base, build
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.tasks import tokenizer

TINY = Base(layers=1, hidden=16, heads=2)


def test_markers_use_spare_rows_initialised_like_words() -> None:
    words = tokenizer()
    model = build(TINY, words.vocab_size, 0)
    before = model.tokens.weight.detach().clone()
    same, markers = place_markers(model, words, ("[HD]", "[TL]"), seed=1)
    assert same is model
    assert list(markers.values()) == words.sentinels[-2:].tolist()
    changed = (model.tokens.weight != before).any(1).nonzero().flatten().tolist()
    assert sorted(changed) == sorted(markers.values())
    head, tail = model.tokens.weight[list(markers.values())]
    assert not torch.equal(head, tail)
    assert 0.3 < head.std() / before.std() < 3


def test_vocabulary_without_spare_rows_grows(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]))
    words = load_tokenizer(tmp_path / "vocab.txt")
    model = build(TINY, words.vocab_size, 0)
    old = dict(model.named_parameters())
    grown, markers = place_markers(model, words, ("[HD]", "[TL]"), seed=1)
    assert markers == {"[HD]": 7, "[TL]": 8}
    assert grown.config.vocabulary == words.vocab_size == 9
    assert all(torch.equal(weight[: len(old[name])], old[name]) for name, weight in grown.named_parameters())
    words.save(tmp_path / "saved")
    assert load_tokenizer(tmp_path / "saved").vocab_size == 9
    assert words.encode(["a [HD] b"]).tokens.tolist().count(7) == 0  # in a text it is plain text


def test_markers_of_an_earlier_task_keep_their_embeddings(tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b"]))
    words = load_tokenizer(tmp_path / "vocab.txt")
    grown, markers = place_markers(build(TINY, words.vocab_size, 0), words, ("[HD]", "[TL]"), seed=1)
    before = grown.tokens.weight.detach().clone()
    same, again = place_markers(grown, words, ("[HD]", "[TL]"), seed=2, placed=markers)
    assert again == markers
    assert torch.equal(same.tokens.weight, before)
    other, typed = place_markers(grown, words, ("[ENT]",), seed=2, placed=markers)
    assert typed == {"[ENT]": 9}
    assert torch.equal(other.tokens.weight[:9], before)

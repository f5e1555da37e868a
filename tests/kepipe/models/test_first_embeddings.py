"""Word vectors as initial token embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.models.base import Base, build, fingerprint
from kepipe.models.first_embeddings import require_width
from kepipe.models.static import formats
from kepipe.models.static.word_vectors import WordVectors
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.training import train_tokenizer

TEXT = ["the river runs near the old castle", "a river near castles runs", "the old the old"] * 5
WORDS = ["the", "river", "old", "castle", "elsewhere"]


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Much longer than a family's initial embeddings."""
    values = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32) * 30
    formats.write(tmp_path / "vectors.txt", WordVectors(WORDS, values))
    return tmp_path / "vectors.txt"


def token_of(tokenizer: Tokenizer, word: str) -> int:
    """The token of the whole word, with a preceding blank if the tokenizer has one."""
    found = [tokenizer.id(name) for name in (f"Ġ{word}", word)]
    return next(token for token in found if token is not None)


@pytest.mark.parametrize(("kind", "family"), [("wordpiece", "bert"), ("bpe", "gpt2"), ("words", "roberta")])
def test_embeddings_of_words_start_from_their_vectors(kind: Any, family: str, vectors: Path) -> None:
    tokenizer = train_tokenizer(TEXT, kind, 400, True)
    messages: list[str] = []
    settings = {"family": family, "layers": 1, "hidden": 8, "heads": 2}
    plain = build(Base.model_validate(settings), tokenizer.vocab_size, 0)
    base = Base.model_validate({**settings, "embeddings": str(vectors)})
    model = build(base, tokenizer.vocab_size, 0, messages.append, tokenizer=tokenizer)
    known = [token_of(tokenizer, word) for word in ("the", "river", "old")]
    found, drawn = model.token_embeddings.weight.detach(), plain.token_embeddings.weight.detach()
    theirs = torch.from_numpy(formats.read(vectors).vectors[:3])
    ratio = (found[known] / theirs).detach()
    assert float(ratio.std()) < 1e-4 * float(ratio.mean().abs()), "the same scale for all"
    size = float(drawn.square().mean().sqrt())
    assert size / 2 < float(found[known].square().mean().sqrt()) < size * 2
    changed = (found != drawn).any(1).nonzero().flatten().tolist()
    assert set(known) <= set(changed)
    names = {str(tokenizer.backend.id_to_token(token)).strip("Ġ▁") for token in changed}
    assert names <= set(WORDS)
    assert (
        f"{len(changed)} of {len(tokenizer.ordinary):,} tokens begin with the vector of a word" in messages[0]
    )
    others = [name for name, value in plain.named_parameters() if name != "tokens.weight"]
    assert all(torch.equal(plain.get_parameter(name), model.get_parameter(name)) for name in others)


def test_incompatible_embeddings_are_rejected(vectors: Path, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(TEXT, "wordpiece", 400, True)
    base = Base.model_validate({"layers": 1, "hidden": 16, "heads": 2, "embeddings": str(vectors)})
    with pytest.raises(ValueError, match="are 8 wide, the model 16: set `hidden: 8`"):
        build(base, tokenizer.vocab_size, 0, tokenizer=tokenizer)
    (tmp_path / "other.txt").write_text("zzz 1 2 3 4 5 6 7 8\n")
    base = Base.model_validate(
        {"layers": 1, "hidden": 8, "heads": 2, "embeddings": str(tmp_path / "other.txt")}
    )
    with pytest.raises(ValueError, match="no token of the tokenizer is a word"):
        build(base, tokenizer.vocab_size, 0, tokenizer=tokenizer)
    with pytest.raises(ValueError, match="expected a file of word vectors, or a model folder"):
        require_width(str(tmp_path), 8)
    with pytest.raises(ValueError, match="`from` fixes the architecture: leave out embeddings"):
        Base.model_validate({"from": "minilm", "embeddings": str(vectors)})


def test_embeddings_fingerprint_follows_the_file(vectors: Path) -> None:
    base = Base.model_validate({"embeddings": str(vectors)})
    before = fingerprint(base)
    assert [*before] == ["embeddings/vectors.txt"]
    vectors.write_text(vectors.read_text().replace("river", "rover"))
    assert fingerprint(base) != before

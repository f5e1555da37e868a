"""Masking of the masked-loss probe, and losses against a plain forward pass."""

import numpy as np
import pytest
import torch

from kepipe.data.alignment import ENTITY
from kepipe.data.batch import Batch
from kepipe.data.shards import open_shard
from kepipe.knowledge.ernie_tsinghua.vectors import attach
from kepipe.models.folder import load
from kepipe.models.mask_filler import MaskFiller
from kepipe.probes.blanks import SHARES, draw_blanks, losses_at_blanks
from kg.vectors import read_ids


@pytest.fixture
def shard(world):
    return open_shard(world.shards.folder / "held_out")


@pytest.fixture
def blanks(world, shard):
    return draw_blanks(shard, world.tokenizer, np.random.default_rng(0), length=24)


def test_rows_cover_the_text_each_of_one_document(world, shard, blanks):
    for number, (start, end) in enumerate(zip(shard.documents, shard.documents[1:], strict=False)):
        rows = blanks.tokens[blanks.documents == number]
        inside = blanks.inside[blanks.documents == number]
        text = [token for row, size in zip(rows, inside.sum(1), strict=True) for token in row[1 : size - 1]]
        assert text == shard.tokens[start:end].tolist()
    sizes = blanks.inside.sum(1)
    assert (blanks.tokens[:, 0] == world.tokenizer.cls).all()
    assert (blanks.tokens[np.arange(len(sizes)), sizes - 1] == world.tokenizer.sep).all()
    assert (blanks.tokens[~blanks.inside] == world.tokenizer.pad).all()


def test_only_text_is_masked_at_the_configured_rate(world, shard):
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(200):
        blanks = draw_blanks(shard, world.tokenizer, rng, length=24)
        tokens = blanks.tokens.ravel()[blanks.places["tokens"]]
        assert not np.isin(tokens, [world.tokenizer.cls, world.tokenizer.sep, world.tokenizer.pad]).any()
        shares.append(len(tokens) / len(shard))
    assert np.mean(shares) == pytest.approx(SHARES["tokens"], abs=0.01)


def test_mentions_are_masked_whole(world, shard):
    blanks = draw_blanks(
        shard, world.tokenizer, np.random.default_rng(0), length=512
    )  # a row holds a document
    starts = shard.documents
    row, column = np.divmod(blanks.places["mentions"], blanks.tokens.shape[1])
    stream = starts[blanks.documents[row]] + column - 1
    assert (shard.entities[stream] >= 0).all()
    unit = np.cumsum((shard.bounds & ENTITY) > 0)
    blanked = set(unit[stream].tolist())
    for number in blanked:
        assert set(np.flatnonzero(unit == number)) <= set(stream.tolist())
    mentions = set(unit[shard.entities >= 0].tolist())
    assert 0.3 < len(blanked) / len(mentions) < 0.7


def test_masked_phrases_have_two_words(world, shard):
    blanks = draw_blanks(shard, world.tokenizer, np.random.default_rng(0), length=512)
    words = world.tokenizer.decode(blanks.tokens.ravel()[blanks.places["phrases"]])
    assert set(words.replace("the", " the ").split()) == {"the", "capital"}


def test_losses_equal_a_plain_forward_pass(world, blanks, monkeypatch):
    monkeypatch.setattr("kepipe.models.mask_filler.native_bfloat16", lambda device: False)
    model = load(world.arms[0].folder)
    found = losses_at_blanks(MaskFiller(model, world.tokenizer), world.tokenizer, blanks, rows=3)
    for test, places in blanks.places.items():
        masked = blanks.tokens.copy()
        masked.ravel()[places] = world.tokenizer.mask
        tokens = torch.from_numpy(masked)
        inside = torch.from_numpy(blanks.inside.astype(np.int64))
        with torch.inference_mode():
            hidden = model(Batch(tokens=tokens, documents=inside, segments=torch.zeros_like(tokens)))
            logp = model.vocabulary(hidden).log_softmax(-1).flatten(0, 1).numpy()
        expected = -logp[places, blanks.tokens.ravel()[places]]
        assert found[test] == pytest.approx(expected, rel=1e-4)
        assert len(blanks.documents_of(test)) == len(found[test])


def test_max_tokens_limits_the_rows(world, shard):
    assert (
        len(draw_blanks(shard, world.tokenizer, np.random.default_rng(0), length=24, max_tokens=72).tokens)
        == 3
    )


@pytest.fixture
def named(world, shard):
    """Blanks with the mentions of their rows."""
    entities = read_ids(world.shards.folder / "entities.txt")
    return draw_blanks(shard, world.tokenizer, np.random.default_rng(0), length=24, entities=entities)


def first_tokens(mentions, shape):
    """The number of each mention's entity at its first token, −1 elsewhere."""
    numbers = np.full(shape, -1)
    numbers[mentions.rows, mentions.first] = mentions.entities
    return numbers


def test_entities_are_given_at_whole_visible_mentions_only(shard, named):
    """Token by token. A mention that is cut by a row's end has its entity in both parts or in none."""
    unit = np.cumsum((shard.bounds & ENTITY) > 0).tolist()
    reached, stream = dict(enumerate(shard.documents[:-1].tolist())), {}
    for row, document in enumerate(named.documents.tolist()):
        for column in range(1, int(named.inside[row].sum()) - 1):
            stream[row, column] = reached[document]
            reached[document] += 1
    withheld = 0
    for test, places in named.places.items():
        blanked = {unit[stream[divmod(place, named.tokens.shape[1])]] for place in places.tolist()}
        expected = np.full(named.tokens.shape, -1)
        for (row, column), n in stream.items():
            if shard.entities[n] >= 0 and (column == 1 or unit[n] != unit[n - 1]):
                expected[row, column] = -1 if unit[n] in blanked else shard.entities[n]
                withheld += unit[n] in blanked
        mentions = named.mentions[test]
        assert (first_tokens(mentions, expected.shape) == expected).all()
        for row, first, stop in zip(mentions.rows, mentions.first, mentions.stop, strict=True):
            numbers = {unit[stream[row, column]] for column in range(first, stop)}
            assert len(numbers) == 1
            after = stream.get((row, stop))
            assert after is None or unit[after] not in numbers or shard.entities[after] < 0
        assert (expected >= 0).any()
    assert withheld


def test_fused_model_gets_the_entities_of_the_rows(world, named, vectors, fused, opened, monkeypatch):
    monkeypatch.setattr("kepipe.models.mask_filler.native_bfloat16", lambda device: False)
    filler, knowledge = opened.masked_language_model, opened.knowledge
    found = losses_at_blanks(filler, world.tokenizer, named, knowledge=knowledge, rows=3)
    plain = losses_at_blanks(filler, world.tokenizer, named, rows=3)
    rows_of = vectors.rows(named.mentions["tokens"].ids)
    assert (rows_of == -1).sum() == 1  # one entity has no vector: its mentions are plain text
    for test, places in named.places.items():
        masked = named.tokens.copy()
        masked.ravel()[places] = world.tokenizer.mask
        tokens = torch.from_numpy(masked)
        inside = torch.from_numpy(named.inside.astype(np.int64))
        numbers = first_tokens(named.mentions[test], named.tokens.shape)
        links = np.array([[rows_of[n] if n >= 0 else -1 for n in row] for row in numbers])
        with torch.inference_mode():
            batch = attach(Batch(tokens, inside, torch.zeros_like(tokens)), links, vectors)
            logp = fused.vocabulary(fused(batch)).log_softmax(-1).flatten(0, 1).numpy()
        assert found[test] == pytest.approx(-logp[places, named.tokens.ravel()[places]], rel=1e-4)
        assert found[test] != pytest.approx(plain[test], rel=1e-4)

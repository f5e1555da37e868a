"""Every objective of the table: labels are the text, and a model learns it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kepipe.data.batch import Batch, TokenRows
from kepipe.models.assemble import with_label_heads
from kepipe.models.base import Base, build
from kepipe.models.transformer import Transformer
from kepipe.objectives import table
from kepipe.objectives.contrastive.settings import Contrastive
from kepipe.objectives.task_mixture import MixtureCollator
from kepipe.objectives.turns import joint
from tests.support.rows import CLS, MASK, PAD, SENTINELS, SEP, TOKENIZER, VOCABULARY, rows

FAMILY = {"encoder": "bert", "decoder": "gpt2", "encoder-decoder": "bart"}
OF_ANY_FAMILY = [
    name for name, row in table.TABLE.items() if not row.families and not issubclass(row.section, Contrastive)
]
"""Objectives that train one family alone are tested with it, those of pairs of texts by tests of their own."""
MIXTURE = {"name": "mixture", "of": [{"objective": "mlm"}, {"objective": {"name": "mlm", "level": "word"}}]}


def draw(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def objective(value: Any):  # type: ignore[no-untyped-def]
    return table.build(table.read(value), TOKENIZER)


def model_for(value: Any, **changes: Any) -> Transformer:
    section = table.read(value)
    family: Any = FAMILY[table.row_of(section).stack]
    model = build(Base(family=family, layers=2, hidden=32, heads=2, **changes), VOCABULARY, 0)
    return with_label_heads(model, section.label_heads(), 0)


@pytest.mark.parametrize("value", [*OF_ANY_FAMILY, MIXTURE], ids=str)
def test_objective_loss_falls(value: Any) -> None:
    """Rows with equal beginnings can be memorised."""
    learned, model = objective(value), model_for(value)
    clean = rows(8, 24)
    clean.tokens[:, 1:11] = clean.tokens[0, 1:11]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(60):
        batch = learned.collate(clean, draw(step), step / 60)
        means = learned.criterion(model, batch)
        assert set(means) <= {*learned.criterion.terms, *learned.criterion.metrics}
        assert means.keys() == {name for name, count in learned.criterion.counts(batch).items() if count}
        loss = torch.stack([means[term] for term in learned.criterion.terms if term in means]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss))
    assert np.mean(losses[-10:]) < 0.85 * np.mean(losses[:5])


@pytest.mark.parametrize("value", [*OF_ANY_FAMILY, MIXTURE], ids=str)
def test_loss_is_finite_for_very_short_rows(value: Any) -> None:
    """Rows of one token, and one of none."""
    short = rows(4, 8)
    tokens, special, documents = short.tokens.copy(), short.special.copy(), short.documents.copy()
    tokens[0, 2:], special[0, 2:], documents[0, 2:] = PAD, True, 0
    tokens[1, 1], special[1, 1:], tokens[1, 2:], documents[1, 2:] = SEP, True, PAD, 0
    units = {level: np.where(special, -1, column) for level, column in short.units.items()}
    sentences = np.where(special, -1, short.sentences)
    clean = rows(4, 8, tokens=tokens, special=special, documents=documents, units=units, sentences=sentences)
    learned, model = objective(value), model_for(value)
    for seed in range(5):
        means = learned.criterion(model, learned.collate(clean, draw(seed), 0.5))
        assert all(torch.isfinite(mean) for mean in means.values())


def test_causal_lm_loss_is_the_shifted_cross_entropy() -> None:
    clean, model = rows(), model_for("causal-lm").eval()
    batch = objective("causal-lm").collate(clean, draw(), 0.0)
    logits = model.vocabulary(model(batch))[:, :-1]
    labels = batch.tokens[:, 1:].masked_fill(batch.documents[:, 1:] == 0, -100)
    expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100)
    torch.testing.assert_close(objective("causal-lm").criterion(model, batch)["lm"], expected)


def test_causal_lm_does_not_predict_across_documents() -> None:
    documents = np.array([[1, 1, 1, 2, 2, 0]])
    tokens = np.array([[30, 31, SEP, 40, SEP, PAD]])
    clean = rows(1, 6, tokens=tokens, documents=documents)
    batch = objective("causal-lm").collate(clean, draw(), 0.0)
    assert batch.label_positions is not None
    assert batch.labels is not None
    assert batch.label_positions.tolist() == [0, 1, 3]
    assert batch.labels.tolist() == [31, SEP, SEP]


def test_prefix_lm_labels_are_the_tokens_after_the_prefix() -> None:
    clean = rows()
    batch = objective("prefix-lm").collate(clean, draw(), 0.0)
    assert batch.prefix is not None
    assert batch.labels is not None
    written = (batch.prefix == 0) & (batch.documents > 0)
    written[:, 0] = False
    assert batch.labels.tolist() == batch.tokens[written].tolist()
    assert batch.visibility == "prefix"


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_prefix_length_is_the_share_of_its_row(share: float) -> None:
    """Rounded down, special tokens counted: of a share of 0 the row is written as without a prefix."""
    clean = rows()
    batch = objective({"name": "prefix-lm", "shortest": share, "longest": share}).collate(clean, draw(), 0.0)
    assert batch.prefix is not None
    lengths = (clean.documents > 0).sum(1)
    assert batch.prefix.sum(1).tolist() == [int(share * length) for length in lengths]


def test_mass_decoder_predicts_the_fragment_at_its_positions() -> None:
    clean = rows()
    batch = objective({"name": "mass", "mask_prob": 1.0, "random_prob": 0.0}).collate(clean, draw(), 0.0)
    assert batch.decoder_positions is not None
    assert batch.decoder_documents is not None
    assert batch.decoder_tokens is not None
    assert batch.labels is not None
    row, step = np.nonzero(batch.decoder_documents.numpy())
    column = batch.decoder_positions.numpy()[row, step]
    assert (batch.labels.numpy() == clean.tokens[row, column]).all()
    assert (batch.decoder_tokens.numpy()[row, step] == clean.tokens[row, column - 1]).all()
    hidden = np.zeros_like(clean.special)
    hidden[row, column] = True
    assert (batch.tokens.numpy() == np.where(hidden, MASK, clean.tokens)).all()


def target_rows(batch: Batch) -> list[list[int]]:
    """What the decoder writes, row by row."""
    assert batch.decoder_documents is not None
    assert batch.labels is not None
    lengths = batch.decoder_documents.sum(1).tolist()
    return [part.tolist() for part in torch.split(batch.labels, lengths)]


def test_denoising_target_is_the_original() -> None:
    clean = rows()
    batch = objective({"name": "denoising", "rotate": 1.0, "delete": 0.1}).collate(clean, draw(), 0.0)
    original = [row[kept].tolist() for row, kept in zip(clean.tokens, clean.documents > 0, strict=True)]
    assert target_rows(batch) == original
    assert batch.decoder_tokens is not None
    assert batch.decoder_tokens[:, :2].tolist() == [[SEP, CLS]] * len(original)
    assert (batch.tokens == MASK).any()


def test_span_corruption_can_be_inverted() -> None:
    clean = rows()
    batch = objective("span-corruption").collate(clean, draw(), 0.0)
    for source, target, tokens, there in zip(
        batch.tokens.tolist(), target_rows(batch), clean.tokens, clean.documents > 0, strict=True
    ):
        spans: dict[int, list[int]] = {}
        for token in target:
            if token in SENTINELS:
                spans[token] = []
            else:
                spans[list(spans)[-1]].append(token)
        whole = [t for token in source if token != PAD for t in (spans.get(token, [token]))]
        assert whole == tokens[there].tolist()


def test_unilm_draws_modes_by_weight_with_distinct_segments() -> None:
    learned = objective({"name": "unilm", "mode_segments": True})
    clean = rows(4, 24)
    batches = [learned.collate(clean, draw(seed), 0.0) for seed in range(600)]
    modes = [batch.visibility for batch in batches]
    shares = {mode: modes.count(mode) / 600 for mode in set(modes)}
    assert shares == pytest.approx(
        {"full": 1 / 3, "prefix": 1 / 3, "causal": 1 / 6, "backward": 1 / 6}, abs=0.06
    )
    segments = {batch.visibility: set(batch.segments.unique().tolist()) for batch in batches}
    assert segments == {"full": {0, 1}, "causal": {2}, "backward": {3}, "prefix": {4, 5}}


def test_unilm_predicts_sep_only_in_prefix_mode() -> None:
    learned, clean = objective("unilm"), rows(16, 24)
    ends = dict.fromkeys(("full", "prefix", "causal", "backward"), 0)
    for seed in range(100):
        batch = learned.collate(clean, draw(seed), 0.0)
        ends[batch.visibility] += int((batch.labels == SEP).sum())
    assert ends.pop("prefix") > 0
    assert set(ends.values()) == {0}


def test_unilm_target_of_unrelated_segments_stays_within_the_second() -> None:
    """Of segments that do not go together, the target is the end of the second, and its beginning is in the source."""
    learned = objective({"name": "unilm", "modes": {"full": 0, "causal": 0, "backward": 0}})
    clean = rows(64, 40, pairs=True)
    assert clean.next_sentence_labels is not None
    batch = learned.collate(clean, draw(), 0.0)
    assert batch.prefix is not None
    there, second = clean.documents > 0, clean.segments == 1
    target = there & (batch.prefix.numpy() == 0)
    follows = clean.next_sentence_labels == 1
    assert (target[follows] == second[follows]).all()
    assert (target <= second).all()
    source_of_second = (second & ~target).sum(1)[~follows]
    assert (source_of_second > 0).all()
    assert (target.sum(1) > 0).all()
    assert batch.next_sentence_labels is None


def test_unilm_masks_the_same_share_in_every_mode() -> None:
    learned, clean = objective("unilm"), rows(256, 64, pairs=True)
    shares: dict[str, list[float]] = {}
    for seed in range(40):
        batch = learned.collate(clean, draw(seed), 0.0)
        shares.setdefault(batch.visibility, []).append(len(batch.labels) / int((~clean.special).sum()))
    assert shares.keys() == {"full", "prefix", "causal", "backward"}
    for mode, of_mode in shares.items():
        assert np.mean(of_mode) == pytest.approx(0.15, abs=0.01), mode


def test_unilm_predicts_next_sentence_only_in_full_mode() -> None:
    learned, clean = objective("unilm"), rows(8, 24, pairs=True)
    judged = {
        (batch.visibility, batch.next_sentence_labels is not None)
        for batch in (learned.collate(clean, draw(seed), 0.0) for seed in range(60))
    }
    assert judged == {("full", True), ("prefix", False), ("causal", False), ("backward", False)}


def test_unilm_target_starts_at_a_sentence() -> None:
    learned, clean = (
        objective({"name": "unilm", "modes": {"full": 0, "causal": 0, "backward": 0}}),
        rows(64, 32),
    )
    batch = learned.collate(clean, draw(), 0.0)
    first = (batch.prefix == 0).int().argmax(1).numpy()
    begins = clean.sentences[np.arange(64), first]
    assert (begins >= 1).all()
    assert (clean.sentences[np.arange(64), first - 1] == begins - 1).all()
    assert len(set(begins)) > 2, "not always the same sentence"


def test_mixture_draws_by_weight_and_joins_parts_later() -> None:
    value = {
        "name": "mixture",
        "tasks": True,
        "of": [{"objective": "mlm", "weight": 3}, {"objective": "span-masking", "joins": 0.5}],
    }
    learned, clean = objective(value), rows(2, 16)
    assert learned.criterion.terms == ("mlm.mlm", "mlm.nsp", "span-masking.mlm", "span-masking.nsp")
    early = [learned.collate(clean, draw(seed), 0.4) for seed in range(50)]
    late = [learned.collate(clean, draw(seed), 0.6) for seed in range(400)]
    assert {batch.objective_id for batch in early} == {0}
    assert np.mean([batch.objective_id for batch in late]) == pytest.approx(0.25, abs=0.07)
    assert all((batch.tasks == batch.objective_id).all() for batch in late)
    assert {name for name, count in learned.criterion.counts(early[0]).items() if count} == {"mlm.mlm"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "mixture", "of": []}, "at least 1"),
        ({"name": "mixture", "of": [{"objective": "mlm", "joins": 0.5}]}, "from the beginning"),
        (
            {
                "name": "mixture",
                "schedule": "continual",
                "of": [{"objective": "mlm"}, {"objective": "span-masking", "joins": 0.5}],
            },
            "remove `joins`",
        ),
        ({"name": "mixture", "of": [{"objective": "mlmm"}]}, "did you mean `mlm`"),
        ({"name": "mass", "mask_prob": 0.9, "random_prob": 0.2}, "add up to more than 1"),
        (
            {"name": "unilm", "modes": {"full": 0, "prefix": 0, "causal": 0, "backward": 0}},
            "at least one of full, prefix",
        ),
        ({"name": "prefix-lm", "shortest": 0.8, "longest": 0.5}, "must not be above"),
    ],
)
def test_invalid_objective_is_rejected(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objective(value)


def test_late_objective_of_a_mixture_gets_its_own_progress() -> None:
    values: list[float] = []

    def part(clean: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        values.append(progress)
        return objective("mlm").collate(clean, rng, progress)

    mixture = MixtureCollator((part,), joint((1.0,), (0.0,)), tasks=False)
    late = MixtureCollator((objective("mlm").collate, part), joint((1e-9, 1.0), (0.0, 0.6)), tasks=False)
    for progress in (0.0, 0.5, 1.0):
        mixture(rows(), draw(), progress)
    assert values == [0.0, 0.5, 1.0]
    values.clear()
    for progress in (0.3, 0.6, 0.8, 1.0):
        late(rows(), draw(), progress)
    assert values == pytest.approx([0.0, 0.5, 1.0])


def test_span_corruption_source_of_512_tokens_is_568_tokens_of_text() -> None:
    """Raffel et al. 2020's figures, without the last sentinel of their figure 2, as in their code."""
    section = table.read("span-corruption")
    assert section.row_length(512) == 568
    clean = rows(3, section.row_length(256))
    whole = replace(
        clean,
        tokens=np.where(clean.special, 30, clean.tokens),
        special=np.zeros_like(clean.special),
        documents=np.ones_like(clean.documents),
    )
    batch = table.build(section, TOKENIZER).collate(whole, draw(), 0.0)
    assert batch.tokens.shape == (3, 256)
    assert batch.decoder_tokens is not None
    assert batch.decoder_tokens.shape == (3, 58 + 1)


def test_mixture_of_different_stacks_is_rejected() -> None:
    with pytest.raises(ValueError, match="same stacks"):
        table.row_of(
            table.read({"name": "mixture", "of": [{"objective": "mlm"}, {"objective": "causal-lm"}]})
        )

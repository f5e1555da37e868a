"""How a model learns to write, and is prompted: UniLM's sequence-to-sequence mode by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.writers import masked
from kepipe.finetuning.writers.table import WRITERS, cannot_write, no_room
from kepipe.models.base import Base, build
from kepipe.models.batch_visibility import encoder_visibility
from kepipe.models.config import FusionConfig, TransformerConfig
from kepipe.models.masked_writing import MaskedPrompt
from kepipe.models.static.config import StaticConfig
from tests.support.tasks import tokenizer

TOKENIZER = tokenizer()
CLS, SEP, PAD, MASK = TOKENIZER.cls, TOKENIZER.sep, TOKENIZER.pad, TOKENIZER.mask
ANSWERS = AnswerFormat(TOKENIZER, (), 0, "row", stacks="encoder", segments=6)
TEXTS = Batch(
    torch.tensor([[CLS, 20, 21, SEP], [CLS, 22, SEP, PAD]]), torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
)
TARGETS, LENGTHS = np.array([[30, SEP, PAD], [31, 32, SEP]]), np.array([2, 3])


def config(family: str, **settings: int) -> TransformerConfig:
    base = Base.model_validate({"family": family, "layers": 1, "hidden": 16, "heads": 2, **settings})
    return build(base, 40, 0).config


def test_text_and_answer_have_the_visibility_and_segments_of_unilm() -> None:
    batch = masked.with_answers(TEXTS, TARGETS, LENGTHS, ANSWERS)
    assert batch.tokens.tolist() == [[CLS, 20, 21, SEP, 30, SEP], [CLS, 22, SEP, 31, 32, SEP]]
    assert batch.segments is not None
    assert batch.segments.tolist() == [[4, 4, 4, 4, 5, 5], [4, 4, 4, 5, 5, 5]]
    visible = encoder_visibility(batch).dense(2, 6, 6)
    assert visible is not None
    assert visible.int().tolist() == [
        [[1, 1, 1, 1, 0, 0]] * 4 + [[1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]],
        [[1, 1, 1, 0, 0, 0]] * 3 + [[1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]],
    ]
    assert batch.label_positions is not None
    assert batch.labels is not None
    assert batch.label_positions.tolist() == [4, 5, 9, 10, 11]
    assert batch.labels.tolist() == [30, SEP, 31, 32, SEP]
    two_segments = masked.with_answers(TEXTS, TARGETS, LENGTHS, replace(ANSWERS, segments=2))
    assert two_segments.segments is not None
    assert two_segments.segments.tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]


def test_padding_is_not_visible() -> None:
    shorter = masked.with_answers(TEXTS, TARGETS[:, :2], np.array([2, 1]), ANSWERS)
    assert shorter.tokens.tolist()[1] == [CLS, 22, SEP, 31, PAD, PAD]
    visible = encoder_visibility(shorter).dense(2, 6, 6)
    assert visible is not None
    assert not visible[1, :, 4:].any()


def test_a_random_share_of_the_answer_is_masked_with_its_end() -> None:
    clean = masked.with_answers(TEXTS, TARGETS, LENGTHS, ANSWERS)
    places = [4, 5, 9, 10, 11]
    predicted, changed_to = np.zeros(12), []
    for seed in range(2000):
        batch = masked.corrupt(clean, ANSWERS, np.random.default_rng(seed))
        assert batch.label_positions is not None
        assert batch.labels is not None
        at = batch.label_positions
        assert torch.equal(batch.labels, clean.tokens.flatten()[at])
        untouched = np.setdiff1d(np.arange(12), at.numpy())
        assert torch.equal(batch.tokens.flatten()[untouched], clean.tokens.flatten()[untouched])
        assert torch.equal(batch.prefix, clean.prefix)  # type: ignore[arg-type]
        predicted[at.numpy()] += 1
        changed_to += [
            "mask" if new == MASK else "kept" if new == old else "random"
            for new, old in zip(batch.tokens.flatten()[at].tolist(), batch.labels.tolist(), strict=True)
        ]
    assert not np.delete(predicted, places).any()
    # 0.7 · 2 is rounded to 1 token, 0.7 · 3 to 2
    np.testing.assert_allclose(predicted[places] / 2000, [1 / 2, 1 / 2, 2 / 3, 2 / 3, 2 / 3], atol=0.04)
    shares = [changed_to.count(kind) / len(changed_to) for kind in ("mask", "random", "kept")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)


def test_prompt_is_the_text_without_its_answer() -> None:
    model = build(Base(family="bert", layers=1, hidden=16, heads=2), TOKENIZER.vocab_size, 0)
    for batch in (TEXTS, masked.with_answers(TEXTS, TARGETS, LENGTHS, ANSWERS)):
        prompt = masked.prompt(model, batch, ANSWERS)
        assert isinstance(prompt, MaskedPrompt)
        assert prompt.mask == MASK
        assert prompt.segments == (0, 1)
        assert prompt.documents is not None
        assert prompt.tokens.tolist() == [[CLS, 20, 21, SEP], [prompt.tokens[1, 0].item(), CLS, 22, SEP]]
        assert prompt.documents.tolist() == [[1, 1, 1, 1], [0, 1, 1, 1]]


def test_models_without_a_writer_are_told_which_families_can() -> None:
    static = StaticConfig(family="word2vec", vocabulary=40, hidden=8)
    assert cannot_write(static) == (
        "this model cannot generate text; bert, roberta, modernbert, gpt2, bart, t5, t5-v1.1 can"
    )
    fused = replace(config("bert"), fusion=FusionConfig(first=0, hidden=4, heads=1))
    assert cannot_write(fused).startswith("a model that fuses entity vectors with the text cannot generate")
    assert {config(family).stacks for family in ("bert", "gpt2", "bart")} == WRITERS.keys()
    for family in ("bert", "roberta", "modernbert", "gpt2", "bart", "t5"):
        assert not cannot_write(config(family))


@pytest.mark.parametrize(
    ("family", "fits", "message"),
    [
        ("bert", 24, "`length: 40` and `max_new_tokens: 25` take 65 positions; the model has 64"),
        ("gpt2", 23, "`length: 40` and `max_new_tokens: 24` take 65 positions; the model has 64"),
        ("bart", 63, "`max_new_tokens: 64` take 65 positions; the model has 64"),
    ],
)
def test_positions_that_text_and_answer_need(family: str, fits: int, message: str) -> None:
    its_config = config(family, positions=64)
    assert no_room(its_config, 40, fits) == ""
    assert no_room(its_config, 40, fits + 1) == message

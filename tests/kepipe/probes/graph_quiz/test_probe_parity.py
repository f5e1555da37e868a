"""The quiz's scores are those of the package lm-pub-quiz 0.3.3, computed by it on the same weights and copied here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizerFast,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
)

from kepipe.inference.opening import open_model
from kepipe.models import mask_filler
from kepipe.probes.graph_quiz.causal_scores import log_likelihoods
from kepipe.probes.graph_quiz.masked_scores import pseudo_log_likelihoods
from kepipe.probes.graph_quiz.statements import encode
from kg.templates import Template

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [*SPECIAL, "the", "capital", "of", "is", ".", "a", "b", "##x", "##y", "##z", "paris", "france"]
TEMPLATES = ["The capital of [X] is [Y].", "Of [X] [Y] is the capital."]
SUBJECT, ANSWERS = "France", ["Paris", "a", "axy", "bz", "a b", "bzyx ax", "axy Paris a"]

# What `Evaluator.from_model(model, conditional_score=True).score_answers(template=…, subject=SUBJECT, answers=ANSWERS,
# reduction=…)` gives, with the metric `within_word_l2r` for the masked model: number of the template, reduction → the
# score of each answer. It has the causal model begin a text with the tokenizer's first token.
MASKED = {
    (0, "sum"): [-4.48133, -3.25434, -10.50484, -4.48822, -5.50606, -19.20941, -18.24051],
    (0, "mean"): [-4.48133, -3.25434, -3.50161, -2.24411, -2.75303, -3.20157, -3.6481],
    (1, "sum"): [-4.48133, -3.25434, -10.50484, -4.48822, -5.50606, -19.20942, -18.24052],
    (1, "mean"): [-4.48133, -3.25434, -3.50161, -2.24411, -2.75303, -3.20157, -3.6481],
}
CAUSAL = {
    (0, "sum"): [-8.36543, -6.12027, -12.2811, -12.28655, -10.32887, -24.6346, -18.55268],
    (0, "mean"): [-4.18271, -3.06014, -3.07027, -4.09552, -3.44296, -3.51923, -3.09211],
    (1, "sum"): [-20.95523, -18.65606, -24.95548, -24.83624, -22.74327, -37.35846, -31.14394],
    (1, "mean"): [-4.19105, -3.73121, -3.56507, -4.13937, -3.79055, -3.73585, -3.46044],
}


def by_formula(model: nn.Module) -> nn.Module:
    """The model with weights by a formula instead of a random generator, equal on every platform."""
    with torch.no_grad():
        for number, weight in enumerate(model.parameters()):
            values = torch.sin(torch.arange(weight.numel(), dtype=torch.float64) * 1.7 + number)
            weight.copy_((values * (0.6 if weight.dim() > 1 else 0.3)).view(weight.shape))
    return model.eval()


def save_masked(folder: Path) -> None:
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    BertTokenizerFast(vocab=str(folder / "vocab.txt"), do_lower_case=True).save_pretrained(folder)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **sizes)
    by_formula(BertForMaskedLM(config)).save_pretrained(folder)


def save_causal(folder: Path) -> None:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    pieces = Tokenizer(models.WordPiece({word: row for row, word in enumerate(WORDS)}, unk_token="[UNK]"))
    pieces.normalizer = normalizers.Lowercase()
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    roles = {"unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": "[CLS]", "eos_token": "[SEP]"}
    reads = ["input_ids", "attention_mask"]
    PreTrainedTokenizerFast(tokenizer_object=pieces, model_input_names=reads, **roles).save_pretrained(folder)
    config = GPT2Config(vocab_size=len(WORDS), n_positions=32, n_embd=16, n_layer=2, n_head=2)
    by_formula(GPT2LMHeadModel(config)).save_pretrained(folder)


def statements(tokenizer, number: int):
    template = Template(TEMPLATES[number])
    return encode([template.state(SUBJECT, answer) for answer in ANSWERS], tokenizer)


@pytest.mark.parametrize(("number", "reduction"), MASKED)
def test_masked_quiz_scores_equal_lm_pub_quiz(
    number: int, reduction: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_filler, "native_bfloat16", lambda _: False)  # they compute in fp32
    save_masked(tmp_path)
    model = open_model(tmp_path).masked_language_model
    rows = statements(model.tokenizer, number)
    scores = pseudo_log_likelihoods(model, rows, [0] * len(rows), [SUBJECT], reduction=reduction)
    np.testing.assert_allclose(scores, MASKED[number, reduction], atol=2e-4)


@pytest.mark.parametrize(("number", "reduction"), CAUSAL)
def test_causal_quiz_scores_equal_lm_pub_quiz(number: int, reduction: str, tmp_path: Path) -> None:
    save_causal(tmp_path)
    model = open_model(tmp_path).language_model
    begun = [
        row._replace(tokens=(model.tokenizer.cls, *row.tokens), option=(row.option[0] + 1, row.option[1] + 1))
        for row in statements(model.tokenizer, number)
    ]
    scores = log_likelihoods(model, begun, reduction)
    np.testing.assert_allclose(scores, CAUSAL[number, reduction], atol=2e-4)

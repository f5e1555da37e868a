"""The same tokens as transformers' `generate`, one by one, from the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from kepipe.models.beam_search import search
from kepipe.models.generation import Prompt, generate, prompt_for, sampling
from kepipe.models.hf import huggingface
from kepipe.models.transformer import Transformer
from tests.support.families import padded, saved, theirs, tokens

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
LIMIT, END = 12, 7
FAMILIES = ("gpt2", "bart", "t5", "t5-v1.1")
LENGTHS = [9, 4, 6]


def sharpened(family: str) -> torch.nn.Module:
    """A model whose distributions are neither flat nor a single token, so that decoding methods differ."""
    model = theirs(family, seed=3)
    with torch.no_grad():
        model.get_output_embeddings().weight *= 3 if family == "t5" else 1.5  # type: ignore[operator]
    return model


def both(family: str, folder: Path) -> tuple[Any, Transformer]:
    reference = sharpened(family)
    return reference, huggingface.load(saved(reference, folder)).model.eval()


def prompt(model: Transformer) -> tuple[Prompt, dict[str, Tensor]]:
    """A prompt of three rows of different lengths, and the same for transformers (which pads a GPT at the left)."""
    row, real = tokens(3, max(LENGTHS)), padded(LENGTHS)
    if model.encoder is not None:
        return prompt_for(model, row, real), {"input_ids": row, "attention_mask": real}
    left = torch.stack([torch.roll(line, max(LENGTHS) - n) for line, n in zip(row, LENGTHS, strict=True)])
    return Prompt(row, real), {"input_ids": left, "attention_mask": real.flip(1)}


def expected(reference: Any, model: Transformer, inputs: dict[str, Tensor], **options: Any) -> Tensor:
    """The new tokens that transformers gives, filled up to LIMIT."""
    out = reference.generate(  # its cache fails where a T5's stacks differ in depth
        **inputs,
        use_cache=False,
        max_new_tokens=LIMIT,
        eos_token_id=END,
        pad_token_id=model.config.pad,
        **options,
    )
    begin = inputs["input_ids"].shape[1] if model.encoder is None else 1
    return filled(out[:, begin:], model)


def filled(new: Tensor, model: Transformer) -> Tensor:
    """Up to LIMIT tokens, padding after the end (transformers' beams fill with the end where padding is token 0)."""
    after_end = ((new == END).cumsum(1) - (new == END).long()) > 0
    new = new.masked_fill(after_end, model.config.pad)
    return torch.nn.functional.pad(new, (0, LIMIT - new.shape[1]), value=model.config.pad)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_decoding_equals_transformers(family: str, tmp_path: Path) -> None:
    reference, model = both(family, tmp_path)
    asked, inputs = prompt(model)
    new = generate(model, asked, limit=LIMIT, end=END)
    assert torch.equal(filled(new, model), expected(reference, model, inputs, do_sample=False, num_beams=1))


@pytest.mark.parametrize(
    "options",
    [{}, {"temperature": 0.7}, {"top_k": 5}, {"top_p": 0.8}, {"temperature": 1.3, "top_k": 20, "top_p": 0.6}],
)
@pytest.mark.parametrize("family", ["gpt2", "t5"])
def test_sampling_equals_transformers(family: str, options: dict[str, Any], tmp_path: Path) -> None:
    reference, model = both(family, tmp_path)
    asked, inputs = prompt(model)
    new = generate(
        model, asked, limit=LIMIT, end=END, sampler=sampling(torch.Generator().manual_seed(11), **options)
    )
    torch.manual_seed(11)
    same = expected(reference, model, inputs, do_sample=True, num_beams=1, **{"top_k": 0, **options})
    assert torch.equal(filled(new, model), same)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("family", FAMILIES)
def test_beam_search_equals_transformers(family: str, length_penalty: float, tmp_path: Path) -> None:
    reference, model = both(family, tmp_path)
    asked, inputs = prompt(model)
    new, scores = search(model, asked, limit=LIMIT, end=END, beams=4, length_penalty=length_penalty)
    best = expected(
        reference,
        model,
        inputs,
        do_sample=False,
        num_beams=4,
        length_penalty=length_penalty,
        num_return_sequences=4,
        early_stopping=False,
    )
    assert torch.equal(filled(new.flatten(0, 1), model), best)
    assert bool((scores.diff(dim=1) <= 0).all())


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("family", ["bart", "t5"])
def test_no_repeat_ngram_equals_transformers(family: str, size: int, tmp_path: Path) -> None:
    reference, model = both(family, tmp_path)
    asked, inputs = prompt(model)
    options = {"do_sample": False, "no_repeat_ngram_size": size}
    new = generate(model, asked, limit=LIMIT, end=END, no_repeat_ngram_size=size)
    assert torch.equal(filled(new, model), expected(reference, model, inputs, num_beams=1, **options))
    best, _ = search(model, asked, limit=LIMIT, end=END, beams=3, no_repeat_ngram_size=size)
    assert torch.equal(
        filled(best[:, 0], model),
        expected(reference, model, inputs, num_beams=3, early_stopping=False, **options),
    )

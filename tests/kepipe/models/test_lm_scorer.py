"""Log-likelihoods against plain forward passes and transformers; each prompt style as its objective trains it."""

import json

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.models.generation import PromptTree
from kepipe.models.hf import huggingface
from kepipe.models.lm_scorer import LMScorer, prompt_style_of, writes
from kepipe.tokenization.training import train_tokenizer

TEXTS = [
    "The moon goes around the earth.",
    "Two small moons go around Mars, and four large ones around Jupiter.",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(TEXTS * 4, "bpe", 450)


def make(family, tokenizer, prompt_style=None):
    base = Base(family=family, layers=2, hidden=32, heads=2)
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    model = build(base, tokenizer.vocab_size, 0, special=special).eval()
    return LMScorer(model, tokenizer, prompt_style or prompt_style_of(model.config))


def pieces(tokenizer, *texts):
    return [tokenizer.encode([text]).tokens for text in texts]


def test_append_agrees_with_transformers(tokenizer, tmp_path):
    from transformers import AutoModelForCausalLM

    scorer = make("gpt2", tokenizer)
    huggingface.save(tmp_path, scorer.model)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    prompts = pieces(
        tokenizer, "The moon", "Two small moons go around"
    )  # of unequal length: one row is padded
    targets = pieces(tokenizer, " goes", " Mars, and", " Jupiter", " the earth")
    rows = [0, 1, 1, 0]
    found = scorer.log_likelihoods(prompts, rows, targets)
    for values, row, target in zip(found, rows, targets, strict=True):
        whole = torch.tensor(np.concatenate([prompts[row], target]))[None]
        with torch.no_grad():
            logp = theirs(whole).logits[0].log_softmax(-1)
        expected = [float(logp[len(prompts[row]) - 1 + n, token]) for n, token in enumerate(target)]
        assert values[: len(target)] == pytest.approx(expected, abs=1e-4)
        assert (values[len(target) :] == 0).all()


def test_an_empty_prompt_is_the_end_token(tokenizer):
    scorer = make("gpt2", tokenizer)
    (target,) = pieces(tokenizer, "The moon")
    empty, ended = np.array([], np.int64), np.array([tokenizer.sep])
    found = [scorer.log_likelihoods([prompt], [0], [target]) for prompt in (empty, ended)]
    assert found[0] == pytest.approx(found[1])


@pytest.mark.parametrize("family", ["bart", "t5"])
def test_an_encoder_decoder_agrees_with_transformers(tokenizer, tmp_path, family):
    from transformers import AutoModelForSeq2SeqLM

    scorer = make(family, tokenizer)
    huggingface.save(tmp_path, scorer.model)
    theirs = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    prompts = pieces(tokenizer, "The moon", "Two small moons go around")
    targets = pieces(tokenizer, " Mars, and", " the earth")
    found = scorer.log_likelihoods(prompts, [0, 1], targets)
    cls, sep, mask, first = tokenizer.cls, tokenizer.sep, tokenizer.mask, int(tokenizer.sentinels[0])
    for values, prompt, target in zip(found, prompts, targets, strict=True):
        source = [cls, *prompt, mask, sep] if family == "bart" else [*prompt, first, sep]
        begun = [sep, cls, *prompt] if family == "bart" else [tokenizer.pad, first]
        with torch.no_grad():
            answer = theirs(
                input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([[*begun, *target]])
            )
        logp = answer.logits[0].log_softmax(-1)
        expected = [float(logp[len(begun) - 1 + n, token]) for n, token in enumerate(target)]
        assert values[: len(target)] == pytest.approx(expected, abs=1e-4)


def test_fragment_style_has_the_inputs_of_mass(tokenizer):
    """As in the objective's batches: masks in the source, positions of the row, the previous token as the start."""
    scorer = make("bart", tokenizer, "fragment")
    prompt, target = pieces(tokenizer, "The moon goes", " around the earth")
    source = [tokenizer.cls, *prompt, *[tokenizer.mask] * len(target), tokenizer.sep]
    column = len(prompt) + 1
    batch = Batch(
        tokens=torch.tensor([source]),
        documents=torch.ones(1, len(source), dtype=torch.long),
        decoder_tokens=torch.tensor([[prompt[-1], *target[:-1]]]),
        decoder_positions=torch.arange(column, column + len(target))[None],
        decoder_documents=torch.ones(1, len(target), dtype=torch.long),
    )
    with torch.no_grad():
        logp = scorer.model.vocabulary(scorer.model(batch))[0].log_softmax(-1)
    expected = logp[torch.arange(len(target)), torch.tensor(target)].numpy()
    found = scorer.log_likelihoods([prompt], [0], [target])
    assert found[0] == pytest.approx(expected, abs=1e-4)


def test_prefix_style_has_the_inputs_of_a_prefix_lm(tokenizer):
    """The prompt is read in both directions, the target left to right; also in a batch with a longer text."""
    scorer = make("gpt2", tokenizer, "prefix")
    prompts = pieces(tokenizer, "The moon", "Two small moons go around")
    targets = pieces(tokenizer, " goes around", " Mars")
    found = scorer.log_likelihoods(prompts, [0, 1], targets)
    for values, prompt, target in zip(found, prompts, targets, strict=True):
        whole = torch.tensor([[*prompt, *target]])
        batch = Batch(
            whole,
            torch.ones_like(whole),
            visibility="prefix",
            prefix=(torch.arange(whole.shape[1]) < len(prompt))[None].long(),
        )
        with torch.no_grad():
            logp = scorer.model.vocabulary(scorer.model(batch))[0].log_softmax(-1)
        expected = [float(logp[len(prompt) - 1 + n, token]) for n, token in enumerate(target)]
        assert values[: len(target)] == pytest.approx(expected, abs=1e-4)
    causal = make("gpt2", tokenizer, "append").log_likelihoods(prompts, [0, 1], targets)
    assert found != pytest.approx(causal, abs=1e-4)


def test_mask_style_has_the_inputs_of_unilm(tokenizer):
    """Each token is predicted at a mask after the prompt and the tokens before it; also in a batch."""
    scorer = make("bert", tokenizer, "mask")
    prompts = pieces(tokenizer, "The moon", "Two small moons go around")
    targets = pieces(tokenizer, " goes around", " Mars")
    found = scorer.log_likelihoods(prompts, [0, 1], targets)
    for values, prompt, target in zip(found, prompts, targets, strict=True):
        source = [tokenizer.cls, *prompt, tokenizer.sep]
        for place, token in enumerate(target):
            whole = torch.tensor([[*source, *target[:place], tokenizer.mask]])
            is_source = (torch.arange(whole.shape[1]) < len(source))[None].long()
            batch = Batch(whole, torch.ones_like(whole), 1 - is_source, visibility="prefix", prefix=is_source)
            with torch.no_grad():
                logp = scorer.model.vocabulary(scorer.model(batch))[0, -1].log_softmax(-1)
            assert values[place] == pytest.approx(float(logp[token]), abs=1e-4)
    with pytest.raises(ValueError, match="this model has an encoder"):
        scorer.prompt([PromptTree(prompts[0])], 1)


def test_the_prompt_style_is_read_from_the_folder_and_bert_is_an_error(tokenizer, tmp_path):
    def note(style):
        (tmp_path / "kepipe.json").write_text(json.dumps({"prompt_style": style}))

    model = make("bart", tokenizer).model
    assert prompt_style_of(model.config, tmp_path) == prompt_style_of(model.config) == "infill"
    note("fragment")
    assert prompt_style_of(model.config, tmp_path) == "fragment"
    note(None)
    assert prompt_style_of(model.config, tmp_path) == "infill"
    gpt = make("gpt2", tokenizer).model
    assert prompt_style_of(gpt.config, tmp_path) == prompt_style_of(gpt.config) == "append"
    note("prefix")
    assert prompt_style_of(gpt.config, tmp_path) == "prefix"
    bert = make("bert", tokenizer, "append").model
    assert not writes(bert)
    for folder in (None, tmp_path):
        with pytest.raises(ValueError, match="fills masks and does not generate"):
            prompt_style_of(bert.config, folder)
    note("mask")
    assert prompt_style_of(bert.config, tmp_path) == "mask"

"""Probe `perplexity`: how well a model goes on with held-out text, with one rule for GPT and for encoder-decoders.

Each window is scored token by token after the one before it. Tokens of different vocabularies do not compare, so losses
are told per word and per byte of the original text as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.probes.base import Answers, Tick
from kepipe.probes.presentation import Details, Presentation, Verdict
from kepipe.probes.windows import EvalWindows, draw_windows
from kepipe.studies.intervals import Estimate, clustered_ratio
from kepipe.studies.scores import Scores

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.models.protocols import LanguageModel
    from kepipe.probes.held_out import HeldOutDocuments

ROWS = 16
"""Windows that go through the model together."""


@dataclass(frozen=True)
class Perplexity:
    """Nats of each window. `counts`: how often each token stands in the training text, int [V]."""

    windows: EvalWindows
    counts: Ints

    @property
    def steps(self) -> int:
        return len(self.windows)

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        if model.language_model is None:
            raise ValueError(
                f"{model.folder}: perplexity needs a model that says how likely a text is (GPT, T5)"
            )
        return {"losses": losses(model.language_model, self.windows, tick)}

    def entities_given(self, model: OpenedModel) -> Sequence[str]:  # noqa: ARG002
        return ()

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        return summarise(answers["losses"], self.windows, seed)

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        return compare(first["losses"], second["losses"], self.windows, seed)

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """`unigram`: each token by its frequency in the training text, blind to what stands before."""
        return {"unigram": summarise(unigram_losses(self.windows, self.counts), self.windows, seed)}

    def details(self) -> dict[str, Any]:
        windows = self.windows
        amounts = {"tokens": windows.tokens, "words": windows.words, "bytes": windows.bytes}
        return {
            "stretches": len(windows),
            "documents": len(np.unique(windows.documents)),
            **{name: int(values_R.sum()) for name, values_R in amounts.items()},
        }


def make(held_out: HeldOutDocuments) -> Perplexity:
    """Windows of the held-out documents."""
    settings = held_out.settings
    windows = draw_windows(
        held_out.documents, held_out.tokenizer, held_out.rng(3), settings.context, settings.loss_tokens
    )
    return Perplexity(windows, held_out.training_counts())


def losses(model: LanguageModel, windows: EvalWindows, tick: Tick = lambda _: None) -> Floats:
    """Nats of each target given its prompt, float [R]."""
    found = np.zeros(len(windows))
    for start in range(0, len(windows), ROWS):
        rows = slice(start, min(start + ROWS, len(windows)))
        targets = windows.targets[rows]
        likelihoods_NU = model.log_likelihoods(windows.prompts[rows], range(len(targets)), targets)
        found[rows] = -likelihoods_NU.sum(1)
        tick(len(targets))
    return found


def summarise(losses_R: Floats, windows: EvalWindows, seed: int) -> dict[str, Estimate]:
    """`token_perplexity`, `word_perplexity` (e to the nats per token, per word) and `bits_per_byte`.

    The intervals resample documents.
    """
    bits = _estimate(losses_R / np.log(2), windows.bytes, windows, seed)
    return {
        "token_perplexity": _raised(_estimate(losses_R, windows.tokens, windows, seed)),
        "word_perplexity": _raised(_estimate(losses_R, windows.words, windows, seed)),
        "bits_per_byte": bits,
    }


def compare(first_R: Floats, second_R: Floats, windows: EvalWindows, seed: int) -> dict[str, Estimate]:
    """The paired difference first − second in `bits_per_byte`; perplexities are no means, and have none."""
    bits = _estimate((first_R - second_R) / np.log(2), windows.bytes, windows, seed)
    return {"bits_per_byte": bits}


def unigram_losses(windows: EvalWindows, counts_V: Ints) -> Floats:
    """Nats of each target where every token has its frequency in the training text (plus one): float [R]."""
    smoothed_V = counts_V + 1.0
    losses_V = -np.log(smoothed_V / smoothed_V.sum())
    return np.array([losses_V[target].sum() for target in windows.targets])


def _estimate(values_R: Floats, amounts_R: Ints, windows: EvalWindows, seed: int) -> Estimate:
    return clustered_ratio(values_R, amounts_R, windows.documents, np.random.default_rng(seed))


def _raised(found: Estimate) -> Estimate:
    """Nats per unit as a perplexity."""
    ends: Mapping[str, float | None] = {
        name: None if (value := getattr(found, name)) is None else float(np.exp(value))
        for name in ("value", "low", "high")
    }
    return replace(found, **ends)  # type: ignore[arg-type]


def headlines(name: str, _: Presentation, scores: Scores) -> Iterator[str]:
    """Each arm's figures."""
    for arm, measured in scores.arms.items():
        if name in measured:
            values = {metric: round(score.value, 2) for metric, score in measured[name].items()}
            yield (
                f"{arm}: perplexity {values['token_perplexity']:,} per token, {values['word_perplexity']:,} per word; "
                f"{values['bits_per_byte']} bits per byte"
            )


def _intro(details: Details) -> str:
    return (
        f"{details['tokens']:,} tokens ({details['words']:,} words, {details['bytes']:,} bytes) of "
        f"{details['documents']} held-out documents, in {details['stretches']:,} stretches; each is scored after the "
        "stretch before it. A perplexity per token depends on the vocabulary; per word and per byte, models of "
        "different vocabularies compare. “Unigram” knows each token's frequency and nothing of what stands before."
    )


PRESENTATION = Presentation(
    anchor="writing",
    title="Going on with held-out text",
    metrics={
        "token_perplexity": "perplexity per token",
        "word_perplexity": "per word",
        "bits_per_byte": "bits per byte",
    },
    deciding="bits_per_byte",
    unit="bits per byte",
    better="lower",
    intro=_intro,
    cases="stretches",
    drawn=("bits_per_byte",),
    from_zero=False,
    caption="With 95% intervals, which resample documents.",
    baselines={"unigram": "unigram"},
    facts={"word_perplexity": "Perplexity per word", "bits_per_byte": "Bits per byte"},
    compared_fact="Bits per byte",
    verdict=Verdict("goes on with held-out text"),
    alone=(
        "{arm} goes on with held-out text at a perplexity of {word_perplexity} per word, {bits_per_byte} bits per byte."
    ),
)

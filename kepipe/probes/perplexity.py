"""Probe `perplexity`: the loss of language models on held-out text, defined alike for GPT and encoder-decoders.

The tokens of each window are scored given the previous window. Since token losses of different vocabularies are not
comparable, losses are also given per word and per byte of the original text. A model with knowledge gets facts about
the entities in the prompt before the prompt; these facts are not scored.
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
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.prompting import PromptTokens
    from kepipe.models.protocols import LanguageModel
    from kepipe.probes.held_out import HeldOutDocuments

FACT_TOKENS = "fact_tokens"
NO_FACTS = (
    "the graph has none in these splits, or none fits; lower `context`, or raise `length` in `knowledge`"
)
ROWS = 16
"""Number of windows in a batch."""


@dataclass(frozen=True)
class Perplexity:
    """Loss of each window in nats. `counts`: number of occurrences of each token in the training text, int [V]."""

    windows: EvalWindows
    counts: Ints

    @property
    def steps(self) -> int:
        return len(self.windows)

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        if model.language_model is None:
            from kepipe.models.any_base import families_that_write

            raise ValueError(
                f"{model.folder}: perplexity needs a model that scores texts: one of {families_that_write()}"
            )
        if model.knowledge is None:
            return {"losses": losses(model.language_model, self.windows, tick)}
        from kepipe.models.prompting import size

        prompts = informed(model.knowledge, self.windows, model.language_model.tokenizer.pad)
        longer_R = [
            size(given) - len(plain) for given, plain in zip(prompts, self.windows.prompts, strict=True)
        ]
        return {
            "losses": losses(model.language_model, self.windows, tick, prompts),
            FACT_TOKENS: np.array(longer_R, np.float64),
        }

    def _named(self) -> list[str]:
        return [entity for named in self.windows.named for _, _, entity in named]

    def entities_given(self, model: OpenedModel) -> Sequence[str]:  # noqa: ARG002
        """See `Probe`: the entities in the prompts. No facts are given about mentions in the targets."""
        return self._named()

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        """See `summarise`; if facts were given, also `fact_tokens`, the mean number of fact tokens before a window."""
        found = summarise(answers["losses"], self.windows, seed)
        if FACT_TOKENS in answers:
            stretches_R = np.ones(len(self.windows), np.int64)
            found[FACT_TOKENS] = _estimate(answers[FACT_TOKENS], stretches_R, self.windows, seed)
        return found

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        return compare(first["losses"], second["losses"], self.windows, seed)

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """`unigram`: each token's frequency in the training text, regardless of the context."""
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


def informed(knowledge: Knowledge, windows: EvalWindows, pad: int) -> list[PromptTokens]:
    """The prompts of windows, with facts about the entities mentioned in them. `pad`: the padding token."""
    from kepipe.inference.prompt_facts import with_facts

    found: list[PromptTokens] = []
    room = int(windows.tokens.max())
    for start in range(0, len(windows), ROWS):
        rows = slice(start, start + ROWS)
        prompts = windows.prompts[rows]
        named = windows.named[rows] or [()] * len(prompts)
        found += with_facts(knowledge, prompts, named, room, pad)
    return found


def losses(
    model: LanguageModel,
    windows: EvalWindows,
    tick: Tick = lambda _: None,
    prompts: Sequence[PromptTokens] | None = None,
) -> Floats:
    """Loss of each target given its prompt in nats, float [R]. `prompts`: see `token_losses`."""
    return np.array([nats_S.sum() for nats_S in token_losses(model, windows, tick, prompts)])


def token_losses(
    model: LanguageModel,
    windows: EvalWindows,
    tick: Tick = lambda _: None,
    prompts: Sequence[PromptTokens] | None = None,
) -> list[Floats]:
    """Loss of each token of the R targets in nats, float [S]. `prompts`: prompts with facts, instead of those of the
    windows."""
    from kepipe.models.prompting import log_likelihoods

    prompts = windows.prompts if prompts is None else prompts
    found: list[Floats] = []
    for start in range(0, len(windows), ROWS):
        rows = slice(start, min(start + ROWS, len(windows)))
        targets = windows.targets[rows]
        likelihoods_NU = log_likelihoods(model, prompts[rows], range(len(targets)), targets)
        found += [-own_U[: len(target)] for own_U, target in zip(likelihoods_NU, targets, strict=True)]
        tick(len(targets))
    return found


def loss_of_known(
    model: LanguageModel, windows: EvalWindows, nats: Sequence[Floats]
) -> tuple[float | None, int]:
    """Mean loss in nats per token, without tokens that are unknown to the model (None if all are), and the number of
    unknown tokens. `nats`: see `token_losses`."""
    from kepipe.models.prompting import unknown

    unknown_N = unknown(model, np.concatenate(windows.targets))
    known_N = np.concatenate(nats)[~unknown_N]
    return float(known_N.mean()) if len(known_N) else None, int(unknown_N.sum())


def summarise(losses_R: Floats, windows: EvalWindows, seed: int) -> dict[str, Estimate]:
    """`token_perplexity`, `word_perplexity` (exp of nats per token, per word) and `bits_per_byte`.

    The intervals resample documents.
    """
    bits = _estimate(losses_R / np.log(2), windows.bytes, windows, seed)
    return {
        "token_perplexity": _raised(_estimate(losses_R, windows.tokens, windows, seed)),
        "word_perplexity": _raised(_estimate(losses_R, windows.words, windows, seed)),
        "bits_per_byte": bits,
    }


def compare(first_R: Floats, second_R: Floats, windows: EvalWindows, seed: int) -> dict[str, Estimate]:
    """The paired difference first − second in `bits_per_byte`. Perplexities are not means, so they have no paired
    difference."""
    bits = _estimate((first_R - second_R) / np.log(2), windows.bytes, windows, seed)
    return {"bits_per_byte": bits}


def unigram_losses(windows: EvalWindows, counts_V: Ints) -> Floats:
    """Loss of each target in nats under the token frequencies of the training text (plus one): float [R]."""
    smoothed_V = counts_V + 1.0
    losses_V = -np.log(smoothed_V / smoothed_V.sum())
    return np.array([losses_V[target].sum() for target in windows.targets])


def _estimate(values_R: Floats, amounts_R: Ints, windows: EvalWindows, seed: int) -> Estimate:
    return clustered_ratio(values_R, amounts_R, windows.documents, np.random.default_rng(seed))


def _raised(found: Estimate) -> Estimate:
    """Nats per unit as a perplexity, including the interval."""
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
            if FACT_TOKENS in values:
                none = "" if values[FACT_TOKENS] else f": {NO_FACTS}"
                yield f"{arm}: {values[FACT_TOKENS]} tokens of facts before each window{none}"


def _intro(details: Details) -> str:
    return (
        f"{details['tokens']:,} tokens ({details['words']:,} words, {details['bytes']:,} bytes) of "
        f"{details['documents']} held-out documents, in {details['stretches']:,} windows; each is scored given the "
        "previous window. Perplexity per token depends on the vocabulary; per word and per byte, models with "
        "different vocabularies are comparable. “Unigram” uses each token's frequency only, regardless of the context."
    )


PRESENTATION = Presentation(
    anchor="writing",
    title="Language modelling",
    metrics={
        "token_perplexity": "perplexity per token",
        "word_perplexity": "per word",
        "bits_per_byte": "bits per byte",
    },
    deciding="bits_per_byte",
    unit="bits per byte",
    better="lower",
    intro=_intro,
    cases="windows",
    drawn=("bits_per_byte",),
    from_zero=False,
    caption="With 95% intervals, which resample documents.",
    baselines={"unigram": "unigram"},
    facts={"word_perplexity": "Perplexity per word", "bits_per_byte": "Bits per byte"},
    compared_fact="Bits per byte",
    verdict=Verdict("predicts held-out text"),
    alone=(
        "{arm} has a perplexity of {word_perplexity} per word on held-out text, {bits_per_byte} bits per byte."
    ),
)

"""Probe `mlm-loss`: held-out loss of masked language models at blanked tokens, phrases and mentions.

Training with masked knowledge units favours the last two, its control with token masking the first, so all three are
reported. Two baselines need no training: token frequencies, and 5-grams of the training text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.probes.base import Answers, NothingToAsk, Tick
from kepipe.probes.presentation import Details, Presentation
from kepipe.studies.cases import Cases, compare, summarise

if TYPE_CHECKING:
    from pathlib import Path

    from kepipe.inference.opening import OpenedModel
    from kepipe.probes.blanks import Blanks
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.studies.intervals import Estimate
    from kepipe.tokenization.tokenizer import Tokenizer


MOST_TOKENS = 50_000_000
"""Longest training text of which 5-grams are counted: they take a minute and a few GB of temporary files."""


@dataclass(frozen=True)
class MaskedLoss:
    """Cross-entropy in nats at each blank; the intervals resample the documents of the blanks.

    `counts`: number of occurrences of each token in the training text, int [V]. `shards`: the folder of the shards from
    which 5-grams are counted and the blanks are drawn; None: no such baseline.
    """

    blanks: Blanks
    tokenizer: Tokenizer
    counts: Ints
    shards: Path | None = None

    @property
    def steps(self) -> int:
        return len(self.blanks.tokens) * len(self.blanks.places)

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        from kepipe.probes.blanks import losses_at_blanks

        filler = model.masked_language_model
        if filler is None:
            raise ValueError(
                f"{model.folder}: the masked loss needs a model that fills masks (BERT, RoBERTa)"
            )
        return losses_at_blanks(filler, self.tokenizer, self.blanks, knowledge=model.knowledge, tick=tick)

    def entities_given(self, model: OpenedModel) -> Sequence[str]:  # noqa: ARG002
        """See `Probe`: over all tests, since a mention that is blanked in one test is given in another."""
        return [
            mentions.ids[number]
            for mentions in self.blanks.mentions.values()
            for number in mentions.entities.tolist()
        ]

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        metrics: dict[str, Estimate] = {}
        for test, cases in self._cases(answers).items():
            metrics |= summarise(cases, seed, (0.0, np.inf)) if len(answers[test]) else {}
        return metrics

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        ours, theirs = self._cases(first), self._cases(second)
        metrics: dict[str, Estimate] = {}
        for test in (name for name in ours if name in theirs):
            metrics |= compare(ours[test], theirs[test], seed) if len(first[test]) else {}
        return metrics

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """See `baseline_answers`."""
        return {name: self.score(answers, seed) for name, answers in self.baseline_answers.items()}

    @cached_property
    def baseline_answers(self) -> Mapping[str, Answers]:
        """`unigram`: each token's frequency in the training text (plus one), regardless of the context.

        `ngrams`: 5-grams, only for single tokens, and only with text for them. They see all tokens on the left in the
        document, also those that are blanked for a model, and none on the right.
        """
        smoothed_V = self.counts + 1.0
        losses_V = -np.log(smoothed_V / smoothed_V.sum())
        tokens = self.blanks.tokens.ravel()
        blind = {test: losses_V[tokens[places_N]] for test, places_N in self.blanks.places.items()}
        if self.shards is None or not 0 < self.counts.sum() <= MOST_TOKENS:
            return {"unigram": blind}
        losses_T = ngram_losses(self.shards)
        return {"unigram": blind, "ngrams": {"tokens": losses_T[self.blanks.positions_of("tokens")]}}

    def details(self) -> dict[str, Any]:
        return {
            "rows": len(self.blanks.tokens),
            "blanks": {test: len(places_N) for test, places_N in self.blanks.places.items()},
        }

    def _cases(self, answers: Answers) -> dict[str, Cases]:
        return {
            test: Cases({test: losses_N}, self.blanks.documents_of(test))
            for test, losses_N in answers.items()
        }


def ngram_losses(shards: Path) -> Floats:
    """The loss in nats of each held-out token given the tokens before it in its document, float [T]: 5-grams of the
    training text with modified Kneser-Ney smoothing (Chen & Goodman 1998), the defaults of `family: ngram`."""
    import tempfile
    from pathlib import Path

    from kepipe.data.shards import open_shard
    from kepipe.models.ngram import fitting, model
    from kepipe.models.ngram.config import NgramBase

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder, scratch = Path(name) / "model", Path(name) / "scratch"
        for each in (folder, scratch):
            each.mkdir()
        fitting.fit(NgramBase(), open_shard(shards / "train"), shards / "tokenizer", folder, scratch)
        return fitting.token_losses(model.load(folder), open_shard(shards / "held_out"))


def make(held_out: HeldOutDocuments) -> MaskedLoss:
    """Blanks in the held-out text. Raises NothingToAsk if it is too short for any."""
    from kepipe.probes.blanks import draw_blanks

    settings = held_out.settings
    blanks = draw_blanks(
        held_out.shard,
        held_out.tokenizer,
        held_out.rng(1),
        settings.context,
        settings.loss_tokens,
        held_out.entities,
    )
    if not any(map(len, blanks.places.values())):
        raise NothingToAsk("the held-out text is too short for a blank")
    return MaskedLoss(blanks, held_out.tokenizer, held_out.training_counts(), held_out.shards)


def _intro(details: Details) -> str:
    places = ", ".join(f"{count:,} {test}" for test, count in details["blanks"].items())
    return (
        "The same places of held-out text are blanked for every arm: single tokens as BERT does, whole phrases, whole "
        f"mentions of entities (places: {places}). Token masking trains the first, knowledge masking the others. "
        "“Unigram” uses each token's frequency only, regardless of the context; 5-grams, for single tokens, see all "
        "text on the left, also what is blanked for the arms, and none on the right."
    )


PRESENTATION = Presentation(
    anchor="loss",
    title="Held-out loss",
    metrics={"tokens": "tokens", "phrases": "phrases", "mentions": "mentions"},
    deciding="tokens",
    unit="cross-entropy in nats",
    better="lower",
    intro=_intro,
    cases="places",
    from_zero=False,
    caption="Loss with 95% intervals, which resample documents.",
    baselines={"unigram": "unigram", "ngrams": "5-grams"},
    compared_fact="Held-out loss",
)

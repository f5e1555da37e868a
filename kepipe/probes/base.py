"""Probes: what is measured on a held-out text without training anything, case by case.

A probe is made once and put to every arm, so that arms answer the same cases and their difference can be paired.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models.lm_scorer import LMScorer, PromptStyle
from kepipe.models.transformer import Transformer
from kepipe.probes import perplexity
from kepipe.probes.cloze_scoring import passes, score_candidates
from kepipe.probes.cloze_test import ClozeTest
from kepipe.probes.masked_loss import Blanks, losses_at_blanks
from kepipe.probes.ranking import chance, per_case, realistic_ranks
from kepipe.studies.scores import Cases, compare, summarise
from kepipe.tokenization.tokenizer import Tokenizer

Answers = dict[str, Floats]
"""What one model answered: plain arrays over the cases, so that they can be kept."""


@dataclass(frozen=True)
class Arm:
    """A model, how it goes on with a text (None for one that fills masks), and the vectors of the entities that it
    fuses (None for a plain one)."""

    model: Transformer
    prompt_style: PromptStyle | None = None
    vectors: EntityVectors | None = None


class Probe(Protocol):
    """Something to measure. `steps` is how often `tick`'s counts add up to in one `answer`."""

    @property
    def name(self) -> str: ...

    @property
    def steps(self) -> int: ...

    def answer(self, arm: Arm, device: str, tick: Callable[[int], None]) -> Answers:
        """Put the probe to a model that it fits."""
        ...

    def shown(self) -> Sequence[str]:
        """The entity of each mention that a model which fuses entities is given with the text; empty: of none.

        A mention counts with every test, or every blank of a cloze, that it is given with.
        """
        ...

    def score(self, answers: Answers, seed: int) -> dict[str, Any]:
        """Metric → `{value, low, high, cases, clusters}`, the interval resampling documents."""
        ...

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Any]:
        """The same for first − second, paired case by case."""
        ...

    def baselines(self, seed: int) -> dict[str, dict[str, Any]]:
        """Name → its scores, of what needs no model."""
        ...

    def about(self) -> dict[str, Any]:
        """What the probe asks, in numbers."""
        ...


@dataclass(frozen=True)
class EntityCloze:
    """The rank of a blanked mention's entity among the entities of its type."""

    test: ClozeTest
    tokenizer: Tokenizer
    name: str = "entity_cloze"

    @property
    def steps(self) -> int:
        return passes(self.test)

    def answer(self, arm: Arm, device: str, tick: Callable[[int], None]) -> Answers:
        scores = score_candidates(
            arm.model, self.tokenizer, self.test, vectors=arm.vectors, device=device, tick=tick
        )
        return {"ranks": self._ranks(scores)}

    def shown(self) -> Sequence[str]:
        return [link.entity for case in self.test.cases for link in case.links]

    def score(self, answers: Answers, seed: int) -> dict[str, Any]:
        return self._by_type(per_case(answers["ranks"]), lambda cases: summarise(cases, seed, (0.0, 1.0)))

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Any]:
        ours, theirs = per_case(first["ranks"]), per_case(second["ranks"])
        paired = {name: values_N - theirs[name] for name, values_N in ours.items()}
        return self._by_type(paired, lambda cases: summarise(cases, seed))

    def baselines(self, seed: int) -> dict[str, dict[str, Any]]:
        """`links`: candidates ordered by how often training documents link them; `chance`: at random."""
        by_links = {"ranks": self._ranks(self.test.scores_by_links())}
        sizes = [len(self.test.candidates[case.type].names) for case in self.test.cases]
        at_random = self._by_type(chance(sizes), lambda cases: summarise(cases, seed, (0.0, 1.0)))
        return {"links": self.score(by_links, seed), "chance": at_random}

    def about(self) -> dict[str, Any]:
        types = [case.type for case in self.test.cases]
        return {
            "mentions": self.test.source,
            "cases": len(types),
            "documents": len({case.document for case in self.test.cases}),
            "left_out": self.test.left_out,
            "types": {
                type: {"cases": types.count(type), "candidates": len(table.names)}
                for type, table in self.test.candidates.items()
            },
        }

    def _ranks(self, scores: list[Floats]) -> Floats:
        truths = [self.test.truth(case) for case in self.test.cases]
        pairs = zip(scores, truths, strict=True)
        return np.array([realistic_ranks(scores_K[None], [truth])[0] for scores_K, truth in pairs])

    def _by_type(
        self, values: Mapping[str, Floats], told: Callable[[Cases], dict[str, dict[str, Any]]]
    ) -> dict[str, Any]:
        """What is told of all cases and, under `by_type`, of those of each type."""
        cases = Cases(values, np.array([case.document for case in self.test.cases]))
        types_N = np.array([case.type for case in self.test.cases])
        parts = {type: told(cases.only(types_N == type)) for type in self.test.candidates}
        return {**told(cases), "by_type": parts}


@dataclass(frozen=True)
class MaskedLoss:
    """Held-out loss in nats at blanked tokens, phrases and mentions.

    `counts`: how often each token stands in the training text, int [V].
    """

    blanks: Blanks
    tokenizer: Tokenizer
    counts: Ints
    name: str = "mlm_loss"

    @property
    def steps(self) -> int:
        return len(self.blanks.tokens) * len(self.blanks.places)

    def answer(self, arm: Arm, device: str, tick: Callable[[int], None]) -> Answers:
        return losses_at_blanks(
            arm.model, self.tokenizer, self.blanks, vectors=arm.vectors, device=device, tick=tick
        )

    def shown(self) -> Sequence[str]:
        """In all the tests together: what one blanks, another gives."""
        numbers = np.concatenate([links_RT[links_RT >= 0] for links_RT in self.blanks.links.values()])
        return [self.blanks.entities[number] for number in numbers.tolist()]

    def score(self, answers: Answers, seed: int) -> dict[str, Any]:
        told: dict[str, Any] = {}
        for test, cases in self._cases(answers).items():
            told |= summarise(cases, seed, (0.0, np.inf)) if len(answers[test]) else {}
        return told

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Any]:
        ours, theirs = self._cases(first), self._cases(second)
        told: dict[str, Any] = {}
        for test in ours:
            told |= compare(ours[test], theirs[test], seed) if len(first[test]) else {}
        return told

    def baselines(self, seed: int) -> dict[str, dict[str, Any]]:
        """`unigram`: each token by its frequency in the training text (plus one), blind to the context."""
        smoothed_V = self.counts + 1.0
        losses_V = -np.log(smoothed_V / smoothed_V.sum())
        tokens = self.blanks.tokens.ravel()
        blind = {test: losses_V[tokens[places_N]] for test, places_N in self.blanks.places.items()}
        return {"unigram": self.score(blind, seed)}

    def about(self) -> dict[str, Any]:
        return {
            "rows": len(self.blanks.tokens),
            "blanks": {test: len(places_N) for test, places_N in self.blanks.places.items()},
        }

    def _cases(self, answers: Answers) -> dict[str, Cases]:
        return {
            test: Cases({test: losses_N}, self.blanks.documents_of(test))
            for test, losses_N in answers.items()
        }


@dataclass(frozen=True)
class Perplexity:
    """How well a model that generates goes on with held-out text.

    `counts`: how often each token stands in the training text, int [V].
    """

    windows: perplexity.EvalWindows
    tokenizer: Tokenizer
    counts: Ints
    name: str = "perplexity"

    @property
    def steps(self) -> int:
        return len(self.windows)

    def answer(self, arm: Arm, device: str, tick: Callable[[int], None]) -> Answers:
        assert arm.prompt_style is not None
        scorer = LMScorer(arm.model.to(device), self.tokenizer, arm.prompt_style)
        return {"losses": perplexity.losses(scorer, self.windows, tick)}

    def shown(self) -> Sequence[str]:
        return ()

    def score(self, answers: Answers, seed: int) -> dict[str, Any]:
        return perplexity.summarise(answers["losses"], self.windows, seed)

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Any]:
        return perplexity.compare(first["losses"], second["losses"], self.windows, seed)

    def baselines(self, seed: int) -> dict[str, dict[str, Any]]:
        """`unigram`: each token by its frequency in the training text, blind to what stands before."""
        blind = perplexity.unigram_losses(self.windows, self.counts)
        return {"unigram": perplexity.summarise(blind, self.windows, seed)}

    def about(self) -> dict[str, Any]:
        told = self.windows
        amounts = {"tokens": told.tokens, "words": told.words, "bytes": told.bytes}
        return {
            "stretches": len(told),
            "documents": len(np.unique(told.documents)),
            **{name: int(values_R.sum()) for name, values_R in amounts.items()},
        }

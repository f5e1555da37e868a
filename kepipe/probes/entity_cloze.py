"""Probe `entity-cloze`: the rank of a blanked mention's entity among the entities of its type."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.probes.base import Answers, Tick
from kepipe.probes.presentation import Details, Groups, Presentation, Verdict, with_interval
from kepipe.probes.ranking import chance, per_case, realistic_ranks
from kepipe.studies.cases import Cases, summarise

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.probes.cloze_test import ClozeTest
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.studies.intervals import Estimate
    from kepipe.studies.scores import Scores
    from kepipe.tokenization.tokenizer import Tokenizer

FILE = "clozes.jsonl"
"""The cases, each with the rank of the true entity for each arm."""
SOURCES = {"gold": "annotated links", "linked": "confident mentions of the linker"}


@dataclass(frozen=True)
class EntityCloze:
    """Ranks of the true entities; ties count half."""

    test: ClozeTest
    tokenizer: Tokenizer
    min_score: float = 0.0
    """The minimum confidence of the linker that was configured."""

    @property
    def steps(self) -> int:
        from kepipe.probes.cloze_scoring import passes

        return passes(self.test)

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        from kepipe.probes.cloze_scoring import score_candidates

        filler = model.masked_language_model
        if filler is None:
            raise ValueError(
                f"{model.folder}: the entity cloze needs a model that fills masks (BERT, RoBERTa)"
            )
        scores = score_candidates(filler, self.tokenizer, self.test, knowledge=model.knowledge, tick=tick)
        return {"ranks": self._ranks(scores)}

    def entities_given(self, model: OpenedModel) -> Sequence[str]:  # noqa: ARG002
        return [link.entity for case in self.test.cases for link in case.links]

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        return self._with_types(per_case(answers["ranks"]), lambda cases: summarise(cases, seed, (0.0, 1.0)))

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        ours, theirs = per_case(first["ranks"]), per_case(second["ranks"])
        paired = {name: values_N - theirs[name] for name, values_N in ours.items()}
        return self._with_types(paired, lambda cases: summarise(cases, seed))

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """`links`: candidates ordered by how often training documents link them; `chance`: random order."""
        by_links = {"ranks": self._ranks(self.test.scores_by_links())}
        sizes = [len(self.test.candidates[case.type].names) for case in self.test.cases]
        at_random = self._with_types(chance(sizes), lambda cases: summarise(cases, seed, (0.0, 1.0)))
        return {"links": self.score(by_links, seed), "chance": at_random}

    def details(self) -> dict[str, Any]:
        types = [case.type for case in self.test.cases]
        return {
            "mentions": self.test.source,
            "cases": len(types),
            "documents": len({case.document for case in self.test.cases}),
            "left_out": self.test.left_out,
            "min_score": self.test.min_score,
            "min_score_asked": self.min_score,
            "types": {
                type: {"cases": types.count(type), "candidates": len(table.names)}
                for type, table in self.test.candidates.items()
            },
        }

    def _ranks(self, scores: list[Floats]) -> Floats:
        truths = [self.test.truth(case) for case in self.test.cases]
        pairs = zip(scores, truths, strict=True)
        return np.array([realistic_ranks(scores_K[None], [truth])[0] for scores_K, truth in pairs])

    def _with_types(
        self, values: Mapping[str, Floats], summary: Callable[[Cases], dict[str, Estimate]]
    ) -> dict[str, Estimate]:
        """The metrics over all cases, and for each type as `by_type/{type}/{metric}`."""
        cases = Cases(values, np.array([case.document for case in self.test.cases]))
        types_N = np.array([case.type for case in self.test.cases])
        metrics = summary(cases)
        for type in self.test.candidates:
            of_type = summary(cases.only(types_N == type))
            metrics |= {f"by_type/{type}/{name}": score for name, score in of_type.items()}
        return metrics


def make(held_out: HeldOutDocuments) -> EntityCloze:
    """Blanks of the held-out documents, with candidates from the graph."""
    from kepipe.probes.cloze_test import ClozeMaker

    settings, links = held_out.settings, held_out.links
    if settings.mentions != "linked":
        links = replace(links, held_out=held_out.with_given_links())
    maker = ClozeMaker(
        held_out.graph,
        held_out.tokenizer,
        max_cases=settings.max_mentions,
        max_candidates=settings.max_candidates,
        context_tokens=settings.context,
        max_name_tokens=settings.max_name_tokens,
        min_score=settings.min_score,
        mentions=settings.mentions,
    )
    return EntityCloze(maker.make(links, held_out.rng(2)), held_out.tokenizer, settings.min_score)


def match(
    probe: EntityCloze, other: EntityCloze, ours: Answers, theirs: Answers
) -> tuple[EntityCloze, Answers, Answers] | None:
    """The blanks that both tests have: the same characters of the same document, for the same entity."""
    at = {(case.document, case.start, case.end, case.entity): n for n, case in enumerate(other.test.cases)}
    pairs = [
        (n, at[key])
        for n, case in enumerate(probe.test.cases)
        if (key := (case.document, case.start, case.end, case.entity)) in at
    ]
    if not pairs:
        return None
    mine, its = np.array(pairs).T
    cases = tuple(probe.test.cases[n] for n in mine)
    types = {case.type for case in cases}
    candidates = {type: table for type, table in probe.test.candidates.items() if type in types}
    test = replace(probe.test, cases=cases, candidates=candidates)
    return replace(probe, test=test), {"ranks": ours["ranks"][mine]}, {"ranks": theirs["ranks"][its]}


def records(probe: EntityCloze, answers: Mapping[str, Answers]) -> Iterator[dict[str, Any]]:
    """The lines of `clozes.jsonl`; `answers` by arm."""
    for place, case in enumerate(probe.test.cases):
        yield {
            "document": case.document, "title": case.title, "start": case.start, "end": case.end,
            "surface": case.surface, "before": case.before, "after": case.after,
            "entity": case.entity, "label": case.label, "type": case.type,
            "candidates": len(probe.test.candidates[case.type].names),
            "ranks": {arm: float(answered["ranks"][place]) for arm, answered in answers.items()},
        }  # fmt: skip


def headlines(name: str, presentation: Presentation, scores: Scores) -> Iterator[str]:
    """The difference in mean reciprocal rank for each pair of arms."""
    for difference in scores.differences:
        metrics = difference.scores.get(name, {})
        if presentation.deciding in metrics:
            apart = with_interval(metrics[presentation.deciding])
            yield f"entity cloze, {difference.name}: MRR {apart}"


def _intro(details: Details) -> str:
    kinds = ", ".join(
        f"{counts['cases']} of type {type} among {counts['candidates']}"
        for type, counts in details["types"].items()
    )
    return (
        "One mention in a held-out document is blanked, and every entity of its type is tried in the blank; the "
        f"model's mean log-probability for the words of an entity's label orders them. {details['cases']} blanks in "
        f"{details['documents']} documents ({SOURCES[details['mentions']]}): {kinds}. A name that stands elsewhere in "
        "the window is not asked for. All arms get the same blanks and candidates."
    )


def _notes(details: Details) -> str:
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in details["left_out"].items())
    return f"Mentions not asked for: {reasons}." if reasons else ""


def _caution(details: Details) -> str:
    used, asked = details["min_score"], details["min_score_asked"]
    if used is None or used >= asked:
        return ""
    return (
        f"too few mentions reach `min_score` {asked:g}, so the surer half of the linker's are blanked, from {used:.2g} "
        "up: some of these links may be wrong"
    )


PRESENTATION = Presentation(
    anchor="cloze",
    title="Entity cloze",
    metrics={"mrr": "MRR", "hits@1": "Hits@1", "hits@10": "Hits@10"},
    deciding="mrr",
    unit="score",
    better="higher",
    intro=_intro,
    cases="blanks",
    notes=_notes,
    caution=_caution,
    caption=(
        "Scores with 95% intervals, which resample documents. “By links” orders candidates by how often the training "
        "text links them and does not read the sentence."
    ),
    baselines={"links": "by links", "chance": "at random"},
    facts={"mrr": "Cloze MRR"},
    compared_fact="Cloze MRR",
    verdict=Verdict(
        ability="finds blanked entities",
        outcome=("The knowledge helped: ", "The knowledge hurt: "),
        explanation=(
            "In {cases} blanks of {clusters} held-out documents, the mean reciprocal rank of the true entity is "
            "{first_value} with {first} and {second_value} with {second}: a difference of {difference} (95% interval "
            "{interval})."
        ),
        baseline=(
            "links",
            "Ranking candidates by how often the training text links them, without reading the sentence,",
        ),
    ),
    groups=Groups(
        prefix="by_type",
        heading="Type",
        caption="MRR by type of entity",
        metric="mrr",
        details="types",
        columns={"cases": "Blanks", "candidates": "Candidates"},
        baseline="links",
    ),
    examples=FILE,
)

"""Probe `graph-quiz`: facts of the graph as sentences whose object is chosen from objects of the relation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.probes.base import Answers, Tick
from kepipe.probes.graph_quiz.questions import Questions, draw_questions
from kepipe.probes.graph_quiz.settings import GraphQuizSettings
from kepipe.probes.ranking import chance, realistic_ranks
from kepipe.studies.cases import Cases, compare, summarise
from kg.templates import Templates, templates_of

if TYPE_CHECKING:
    from kepipe.inference.opening import OpenedModel
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.studies.intervals import Estimate
    from kg.store import Graph

FILE = "quiz.jsonl"
"""The cases, each with the rank of the true object and the chosen object for each arm."""
CHUNK = 64
"""Number of cases answered at a time."""
GROUPS = ("stated", "held_out", "rare")


@dataclass(frozen=True)
class GraphQuiz:
    """A case is a question in one template. `vectors`: the graph's vectors, which are used for a baseline."""

    graph: Graph
    questions: Questions
    templates: Templates
    settings: GraphQuizSettings
    vectors: Path | None = None

    @cached_property
    def cases(self) -> Ints:
        """Question and template (as an index into those of the relation) of each case: int [C, 2]."""
        most = self.settings.paraphrases
        return np.array(
            [
                (question, template)
                for question, relation in enumerate(self.questions.facts[:, 1].tolist())
                for template in range(len(self.templates[relation][:most]))
            ],
            np.int64,
        )

    @property
    def steps(self) -> int:
        """See `Probe`: one step per case."""
        return len(self.cases)

    def answer(self, model: OpenedModel, tick: Tick) -> Answers:
        """Ranks of the true options, and indices of the chosen ones. Masked language models are scored by masking."""
        return self.graded(self._scores(model, tick))

    def entities_given(self, model: OpenedModel) -> Sequence[str]:
        """The subjects; for a causal model, only those that precede the option."""
        rows = self.questions.facts[self.cases[:, 0], 0].tolist()
        if model.masked_language_model is not None:
            return [self.graph.ids[row] for row in rows]
        first = (self.statement(case, 0) for case in range(len(rows)))
        return [
            self.graph.ids[row]
            for row, asked in zip(rows, first, strict=True)
            if asked.subject < asked.object
        ]

    def score(self, answers: Answers, seed: int) -> dict[str, Estimate]:
        return self._summary(_metrics(answers), seed)

    def difference(self, first: Answers, second: Answers, seed: int) -> dict[str, Estimate]:
        ours, theirs = _metrics(first), _metrics(second)
        return self._summary(ours, seed, theirs)

    def baselines(self, seed: int) -> dict[str, dict[str, Estimate]]:
        """`most_frequent`: the relation's most frequent object in the stated splits; `name_overlap`: the option whose
        name is most similar to the subject's; `vectors`: the option nearest to head + relation in the graph's vectors;
        `chance`."""
        from kepipe.probes.graph_quiz.baselines import by_frequency, by_name_overlap, by_vectors

        scores = {
            "most_frequent": by_frequency(self.questions, self.graph, self.settings.stated),
            "name_overlap": by_name_overlap(self.questions, self.graph),
        }
        if self.vectors is not None:
            scores["vectors"] = by_vectors(self.questions, self.graph, self.vectors)
        of_case = self.cases[:, 0].tolist()
        graded = {name: self.graded(each[q] for q in of_case) for name, each in scores.items()}
        at_random = chance(self.questions.sizes[self.cases[:, 0]])
        guessed = {"accuracy": at_random["hits@1"], "mrr": at_random["mrr"]}
        return {
            **{name: self.score(answers, seed) for name, answers in graded.items()},
            "chance": self._summary(guessed, seed),
        }

    def details(self) -> dict[str, Any]:
        questions, relations = self.questions, self.questions.facts[:, 1]
        return {
            "questions": len(questions),
            "cases": len(self.cases),
            "subjects": len(np.unique(questions.facts[:, 0])),
            "options": round(float(questions.sizes.mean()), 1),
            "splits": {"stated": list(self.settings.stated), "held_out": list(self.settings.held_out)},
            "groups": {name: int(chosen_Q.sum()) for name, chosen_Q in self._groups().items()},
            "left_out": questions.left_out,
            "relations": {
                self.graph.relation(row).id: {
                    "label": self.graph.relation(row).label or self.graph.relation(row).id,
                    "template": self.templates[row][0].text,
                    "questions": int((relations == row).sum()),
                    "options": round(float(questions.sizes[relations == row].mean()), 1),
                }
                for row in np.unique(relations).tolist()
            },
        }

    def statement(self, case: int, option: int) -> Any:
        """A case's template with one of the question's options, as a `Statement`."""
        question, template = self.cases[case].tolist()
        head, relation, _ = self.questions.facts[question].tolist()
        name = self.graph.labels[self.questions.options[question][option]]
        return self.templates[relation][template].state(self.graph.labels[head], name)

    def graded(self, scores: Iterable[Floats]) -> dict[str, Floats]:
        """Answers from the scores of each case's options. `ranks`: of the true option, ties counting half; `correct`:
        probability that it is chosen if ties are broken at random; `chosen`: index of the first best option."""
        ranks, correct, chosen = [], [], []
        for scores_K, question in zip(scores, self.cases[:, 0].tolist(), strict=True):
            truth = self.questions.truths[question]
            best_K = scores_K == scores_K.max()
            ranks.append(realistic_ranks(scores_K[None], [truth])[0])
            correct.append(best_K[truth] / best_K.sum())
            chosen.append(scores_K.argmax())
        return {
            "ranks": np.array(ranks, np.float64),
            "correct": np.array(correct, np.float64),
            "chosen": np.array(chosen, np.float64),
        }

    def _scores(self, model: OpenedModel, tick: Tick) -> Iterator[Floats]:
        """The scores of each case's options, float [K]; a masked language model's are bounds for options that are below
        the true one."""
        from kepipe.probes.graph_quiz.causal_scores import log_likelihoods
        from kepipe.probes.graph_quiz.masked_scores import pseudo_log_likelihoods
        from kepipe.probes.graph_quiz.statements import encode

        filler, language_model = model.masked_language_model, model.language_model
        asked = filler or language_model
        if asked is None:
            raise ValueError(f"{model.folder}: the quiz needs a model that fills masks or scores texts")
        heads, sizes = self.questions.facts[:, 0], self.questions.sizes
        ids = [self.graph.ids[row] for row in heads.tolist()]
        for start in range(0, len(self.cases), CHUNK):
            chunk = range(start, min(start + CHUNK, len(self.cases)))
            of_case = self.cases[chunk.start : chunk.stop, 0]
            spoken = [
                self.statement(case, k)
                for case, q in zip(chunk, of_case, strict=True)
                for k in range(sizes[q])
            ]
            statements = encode(spoken, asked.tokenizer)
            if filler is not None:
                subjects = np.repeat(of_case, sizes[of_case]).tolist()
                first_C = np.cumsum(sizes[of_case]) - sizes[of_case]
                truths_C = first_C + self.questions.truths[of_case]
                scores_S = pseudo_log_likelihoods(
                    filler,
                    statements,
                    subjects,
                    ids,
                    truths=np.repeat(truths_C, sizes[of_case]).tolist(),
                    reduction=self.settings.reduction,
                    knowledge=model.knowledge,
                )
            else:
                assert language_model is not None
                scores_S = log_likelihoods(
                    language_model,
                    statements,
                    self.settings.reduction,
                    subjects=[ids[question] for question in np.repeat(of_case, sizes[of_case]).tolist()],
                    knowledge=model.knowledge,
                )
            yield from np.split(scores_S, np.cumsum(sizes[of_case])[:-1])
            tick(len(chunk))

    def _groups(self) -> dict[str, Bools]:
        """The questions of each group, bool [Q]; empty groups are omitted."""
        questions = self.questions
        groups = dict(zip(GROUPS, (questions.stated, ~questions.stated, questions.rare), strict=True))
        return {name: chosen_Q for name, chosen_Q in groups.items() if chosen_Q.any()}

    def _summary(
        self, metrics: Mapping[str, Floats], seed: int, less: Mapping[str, Floats] | None = None
    ) -> dict[str, Estimate]:
        """Means over all cases, over each group as `accuracy_stated`, and over each relation as
        `by_relation/{id}/accuracy`; with `less`, means of the paired differences. The intervals resample subjects."""
        of_case = self.cases[:, 0]
        subjects_C = self.questions.facts[of_case, 0]
        means = {name: values for name, values in metrics.items() if name != "chosen"}

        def over(chosen_C: Bools) -> dict[str, Estimate]:
            ours = Cases(means, subjects_C).only(chosen_C)
            if less is None:
                return summarise(ours, seed, (0.0, 1.0))
            theirs = Cases({name: less[name] for name in means}, subjects_C).only(chosen_C)
            return compare(ours, theirs, seed)

        summary = over(np.ones(len(of_case), np.bool_))
        for group, chosen_Q in self._groups().items():
            summary |= {f"{name}_{group}": value for name, value in over(chosen_Q[of_case]).items()}
        relations_C = self.questions.facts[of_case, 1]
        for row in np.unique(relations_C).tolist():
            id = self.graph.relation(row).id
            of_relation = over(relations_C == row)
            summary |= {f"by_relation/{id}/{name}": value for name, value in of_relation.items()}
        return summary | self._consistency(metrics, seed, less)

    def _consistency(
        self, metrics: Mapping[str, Floats], seed: int, less: Mapping[str, Floats] | None
    ) -> dict[str, Estimate]:
        """The share of pairs of a question's templates with the same answer (Elazar et al. 2021, ParaRel); {} if no
        question has several templates, and for baselines that choose nothing."""
        if "chosen" not in metrics:
            return {}
        several = np.flatnonzero(np.bincount(self.cases[:, 0]) > 1)
        if not len(several):
            return {}
        ours = Cases(
            {"consistency": self._same(metrics["chosen"], several)}, self.questions.facts[several, 0]
        )
        if less is None:
            return summarise(ours, seed, (0.0, 1.0))
        theirs = Cases({"consistency": self._same(less["chosen"], several)}, ours.clusters)
        return compare(ours, theirs, seed)

    def _same(self, chosen_C: Floats, several: Ints) -> Floats:
        """For each of several questions, the share of pairs of its cases with the same choice."""
        starts = np.searchsorted(self.cases[:, 0], several)
        stops = np.searchsorted(self.cases[:, 0], several, side="right")
        shares = [
            np.mean([one == other for one, other in combinations(chosen_C[start:stop].tolist(), 2)])
            for start, stop in zip(starts, stops, strict=True)
        ]
        return np.array(shares, np.float64)


def _metrics(answers: Answers) -> dict[str, Floats]:
    """Metric → its value on each case, without the choices."""
    return {"accuracy": answers["correct"], "mrr": 1 / answers["ranks"], "chosen": answers["chosen"]}


def make(held_out: HeldOutDocuments) -> GraphQuiz:
    """Questions from the graph; the documents are not read."""
    return make_quiz(held_out.graph, held_out.settings.graph_quiz, held_out.rng(4), held_out.vectors)


def make_quiz(
    graph: Graph, settings: GraphQuizSettings, rng: np.random.Generator, vectors: Path | None = None
) -> GraphQuiz:
    """The quiz of a graph. Raises ValueError if it has no questions, and for templates that do not match it."""
    templates = templates_of(graph, settings.templates)
    return GraphQuiz(graph, draw_questions(graph, settings, rng), templates, settings, vectors)


def records(probe: GraphQuiz, answers: Mapping[str, Answers]) -> Iterator[dict[str, Any]]:
    """The lines of `quiz.jsonl`, with the same keys as `clozes.jsonl` for the same content; `answers` by arm."""
    graph, questions = probe.graph, probe.questions
    for case, (question, _) in enumerate(probe.cases.tolist()):
        head, relation, tail = questions.facts[question].tolist()
        options, truth = questions.options[question], int(questions.truths[question])
        statement = probe.statement(case, truth)
        yield {
            "document": graph.ids[head], "title": graph.labels[head],
            "before": statement.text[: statement.object[0]], "after": statement.text[statement.object[1] :],
            "entity": graph.ids[tail], "label": graph.labels[tail],
            "relation": graph.relation(relation).id, "type": graph.relation(relation).label,
            "stated": bool(questions.stated[question]), "candidates": len(options),
            "ranks": {arm: float(given["ranks"][case]) for arm, given in answers.items()},
            "chosen": {arm: graph.labels[options[int(given["chosen"][case])]] for arm, given in answers.items()},
        }  # fmt: skip

"""How a linker does on a gold set: what was right, and what kind of mistake each other decision is.

Only what lies inside the annotated stretch counts. *In the graph*: every prediction is held against the links
whose entity the graph has, so linking what is not marked costs precision. *Outside*: a marked name that the graph
lacks is right where nothing is linked over it. *Overall*: both, a marked name without a prediction over it being a
prediction of "not in the graph".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kepipe.linking.candidates.gazetteer import Gazetteer
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.decision.decide import decide_by_prior
from kepipe.linking.decision.policy import AS_LEARNED, Policy
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.evaluation.score import Counts, Scores, summarise
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations

Mistake = Literal[
    "wrong entity", "wrong boundary", "not in the graph", "not marked", "no candidate", "left out"
]
"""Of a prediction: the span is marked with another entity; it overlaps a marked name; the marked name is not in the
graph; nothing is marked there. Of a marked name: no alias leads to its entity; it was a candidate and not chosen."""


@dataclass(frozen=True)
class Decision:
    """A prediction or a marked name and what became of it: `mistake` None is right.

    `predicted`, `given`: rows, NIL for none; `choices`: how many candidates the name has; `kind`: the marked type;
    `written`: how it is written (`case_of`).
    """

    text: int
    start: int
    end: int
    predicted: int
    given: int
    choices: int
    kind: str
    mistake: Mistake | None
    written: str = ""


@dataclass(frozen=True)
class Assessment:
    """Scores of one linker on one set; `decisions` holds every prediction and every missed link, in order."""

    in_graph: Scores
    outside: Scores
    overall: Scores
    candidate_recall: float
    decisions: tuple[Decision, ...]

    def mistakes(self) -> Counter[str]:
        """How many of each kind."""
        return Counter(decision.mistake for decision in self.decisions if decision.mistake is not None)


Predict = Callable[[GoldText, Annotations], Sequence[Link]]


def assess(
    texts: Sequence[GoldText],
    annotations: Sequence[Annotations],
    predict: Predict,
    find: Callable[[GoldText, Annotations], Matches],
) -> Assessment:
    """Score what `predict` says about each text; `find` gives the candidates."""
    decisions: list[Decision] = []
    inside: list[Counts] = []
    outside: list[Counts] = []
    recalled = in_graph = 0
    for number, (text, annotation) in enumerate(zip(texts, annotations, strict=True)):
        predicted = [
            link for link in predict(text, annotation) if text.begin <= link.start and link.end <= text.end
        ]
        choices = _choices(find(text, annotation))
        decided = list(_judge(number, text, predicted, choices))
        decisions += decided
        right = sum(decision.mistake is None for decision in decided)
        known = [link for link in text.links if link.row >= 0]
        inside.append(Counts(len(predicted), len(known), right))
        outside.append(_count_outside(text, predicted))
        recalled += sum(link.row in choices.get(link[:2], ()) for link in known)
        in_graph += len(known)
    both = [Counts(*map(sum, zip(*pair, strict=True))) for pair in zip(inside, outside, strict=True)]
    recall = recalled / in_graph if in_graph else 0.0
    return Assessment(summarise(inside), summarise(outside), summarise(both), recall, tuple(decisions))


def _choices(matches: Matches) -> dict[tuple[int, int], set[int]]:
    choices: dict[tuple[int, int], set[int]] = {}
    starts, ends = matches.starts.tolist(), matches.ends.tolist()
    for owner, row in zip(matches.owners.tolist(), matches.rows.tolist(), strict=True):
        choices.setdefault((starts[owner], ends[owner]), set()).add(row)
    return choices


def _judge(
    number: int, text: GoldText, predicted: Sequence[Link], choices: dict[tuple[int, int], set[int]]
) -> Iterable[Decision]:
    given = {
        (link.start, link.end): (link.row, kind) for link, kind in zip(text.links, text.kinds, strict=True)
    }
    right: set[Link] = set()
    for link in predicted:
        row, kind = given.get(link[:2], (-1, ""))
        mistake: Mistake | None
        if link[:2] in given:
            mistake = None if row == link.row else "wrong entity" if row >= 0 else "not in the graph"
        else:
            touches = any(other.start < link.end and link.start < other.end for other in text.links)
            mistake = "wrong boundary" if touches else "not marked"
        if mistake is None:
            right.add(link)
        count = len(choices.get(link[:2], ()))
        written = case_of(text.document.text[link.start : link.end])
        yield Decision(number, link.start, link.end, link.row, row, count, kind, mistake, written)
    for link, kind in zip(text.links, text.kinds, strict=True):
        if link.row >= 0 and link not in right:
            known = choices.get(link[:2], set())
            missed: Mistake = "left out" if link.row in known else "no candidate"
            written = case_of(text.document.text[link.start : link.end])
            yield Decision(number, link.start, link.end, -1, link.row, len(known), kind, missed, written)


def _count_outside(text: GoldText, predicted: Sequence[Link]) -> Counts:
    """Marked names with nothing linked over them are predicted to be outside the graph."""
    silent = [
        link.row
        for link in text.links
        if not any(other.start < link.end and link.start < other.end for other in predicted)
    ]
    return Counts(len(silent), sum(link.row < 0 for link in text.links), sum(row < 0 for row in silent))


# Who is compared


def by_linker(linker: Linker, policy: Policy = AS_LEARNED) -> Predict:
    """The linker itself."""

    def predict(text: GoldText, annotation: Annotations) -> list[Link]:
        document = text.document
        mentions = linker.link(document.text, annotation, document.title, policy)
        return [Link(mention.start, mention.end, linker.row(mention.entity)) for mention in mentions]

    return predict


def by_prior(gazetteer: Gazetteer) -> Predict:
    """Baseline: the longest exact names, each meaning its likeliest entity."""
    return lambda text, _: decide_by_prior(gazetteer.find(text.document.text))


def by_ner(gazetteer: Gazetteer, degrees: Sequence[int]) -> Predict:
    """Baseline: what NER takes for a name and the graph knows exactly so; of several entities the best connected."""

    def predict(text: GoldText, annotation: Annotations) -> list[Link]:
        links = []
        for start, end, _ in annotation.names or ():
            candidates = gazetteer.lexicon.candidates(text.document.text[start:end])
            if candidates:
                row = max(candidates, key=lambda candidate: (degrees[candidate.row], -candidate.row)).row
                links.append(Link(start, end, row))
        return links

    return predict


def summary(assessment: Assessment) -> dict[str, Any]:
    """Scores as plain data: in the graph, outside, overall, candidate recall, mistakes; by kind, ambiguity, case."""
    return {
        "in_graph": assessment.in_graph.to_json(),
        "outside": assessment.outside.to_json(),
        "overall": assessment.overall.to_json(),
        "candidate_recall": round(assessment.candidate_recall, 6),
        "mistakes": dict(assessment.mistakes()),
        "by_kind": breakdown(assessment, lambda decision: decision.kind or "none"),
        "by_ambiguity": breakdown(assessment, lambda decision: ambiguity(decision.choices)),
        "by_case": breakdown(assessment, lambda decision: decision.written),
    }


def breakdown(assessment: Assessment, group: Callable[[Decision], str]) -> dict[str, dict[str, float]]:
    """For each group, the largest first: marked names in the graph, how many of them are right, and recall."""
    given: Counter[str] = Counter()
    right: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for decision in assessment.decisions:
        place = (decision.text, decision.start)
        if decision.given < 0 or (decision.mistake == "wrong entity") or place in seen:
            continue  # a wrong entity is told again as a name left out
        seen.add(place)
        given[group(decision)] += 1
        right[group(decision)] += decision.mistake is None
    return {
        name: {"given": count, "right": right[name], "recall": round(right[name] / count, 6)}
        for name, count in given.most_common()
    }


def case_of(surface: str) -> str:
    """How a name is written, in words."""
    if surface.islower():
        return "small letters"
    if surface.isupper():
        return "capitals"
    return "capital within" if surface[:1].islower() else "capital first"


def ambiguity(choices: int) -> str:
    """How ambiguous a name is, in words."""
    if choices <= 1:
        return ("no candidate", "one candidate")[choices]
    return "two to four" if choices < 5 else "five or more"

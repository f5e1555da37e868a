"""Evaluate a linker on a gold set: scores, and the kind of each mistake.

Only the annotated span of each text counts. *In the graph*: every prediction is compared with the gold links whose
entity is in the graph, so a prediction on unmarked text costs precision. *Outside*: a gold mention whose entity is not
in the graph (NIL) is right if no prediction overlaps it. *Overall*: both together, where a gold mention that no
prediction overlaps counts as a prediction of NIL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kepipe.data.document import Document
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
"""Of a prediction: "wrong entity", the span is marked with another entity; "wrong boundary", it overlaps a gold
mention; "not in the graph", the gold mention is NIL; "not marked", it overlaps no gold mention. Of a gold mention: "no
candidate", its entity was not among the candidates; "left out", it was, and was not predicted."""


@dataclass(frozen=True)
class Decision:
    """A prediction or a missed gold mention; `mistake` None: it is right.

    `text`: index of the text; `predicted`, `given`: predicted and gold rows, NIL for none; `choices`: the number of
    candidates of the span; `kind`: the gold type; `written`: the case of the surface (`case_of`); `known`: whether the
    gold entity has the name (`familiarity`); `domain`: that of the text.
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
    known: str = ""
    domain: str = ""


@dataclass(frozen=True)
class Assessment:
    """Scores of a linker on a gold set; `decisions` holds every prediction and every missed gold link, in order."""

    in_graph: Scores
    outside: Scores
    overall: Scores
    candidate_recall: float
    decisions: tuple[Decision, ...]

    def mistakes(self) -> Counter[str]:
        """The number of mistakes of each kind."""
        return Counter(decision.mistake for decision in self.decisions if decision.mistake is not None)


Predict = Callable[[GoldText, Annotations], Sequence[Link]]


def assess(
    texts: Sequence[GoldText],
    annotations: Sequence[Annotations],
    predict: Predict,
    find: Callable[[GoldText, Annotations], Matches],
) -> Assessment:
    """Score the links that `predict` returns for each text; `find` returns the candidates."""
    decisions: list[Decision] = []
    inside: list[Counts] = []
    outside: list[Counts] = []
    recalled = in_graph = 0
    for number, (text, annotation) in enumerate(zip(texts, annotations, strict=True)):
        predicted = [
            link for link in predict(text, annotation) if text.begin <= link.start and link.end <= text.end
        ]
        choices = _choices(find(text, annotation))
        text_decisions = list(_decisions(number, text, predicted, choices))
        decisions += text_decisions
        right = sum(decision.mistake is None for decision in text_decisions)
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


def _decisions(
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
        found = choices.get(link[:2], set())
        written, known = case_of(text.document.text[link.start : link.end]), familiarity(found, row)
        yield Decision(
            number,
            link.start,
            link.end,
            link.row,
            row,
            len(found),
            kind,
            mistake,
            written,
            known,
            text.domain,
        )
    for link, kind in zip(text.links, text.kinds, strict=True):
        if link.row >= 0 and link not in right:
            found = choices.get(link[:2], set())
            missed: Mistake = "left out" if link.row in found else "no candidate"
            written, known = case_of(text.document.text[link.start : link.end]), familiarity(found, link.row)
            yield Decision(
                number,
                link.start,
                link.end,
                -1,
                link.row,
                len(found),
                kind,
                missed,
                written,
                known,
                text.domain,
            )


def _count_outside(text: GoldText, predicted: Sequence[Link]) -> Counts:
    """Counts of NIL predictions: gold mentions that no prediction overlaps."""
    unlinked_rows = [
        link.row
        for link in text.links
        if not any(other.start < link.end and link.start < other.end for other in predicted)
    ]
    return Counts(
        len(unlinked_rows), sum(link.row < 0 for link in text.links), sum(row < 0 for row in unlinked_rows)
    )


# The linker and the baselines


def by_linker(linker: Linker, policy: Policy = AS_LEARNED) -> Predict:
    """The linker itself."""

    def predict(text: GoldText, annotation: Annotations) -> list[Link]:
        document = text.document
        mentions = linker.link(document.text, annotation, document.title, policy)
        return [Link(mention.start, mention.end, linker.row(mention.entity)) for mention in mentions]

    return predict


def by_documents(documents: Iterable[Document], linker: Linker) -> Predict:
    """Links that were made before, found by the text. `linker`: of the graph that was linked to. The returned function
    raises ValueError for a text without a document, and for a link to an entity that the graph lacks."""
    linked = {document.text: document.mentions for document in documents}

    def predict(text: GoldText, _: Annotations) -> list[Link]:
        id = text.document.id
        if text.document.text not in linked:
            raise ValueError(f"{id}: none of the linked documents has this text")
        mentions = linked[text.document.text]
        try:
            return [Link(mention.start, mention.end, linker.row(mention.entity)) for mention in mentions]
        except KeyError as unknown:
            raise ValueError(f"{id}: it is linked to {unknown}, which the linker's graph lacks") from None

    return predict


def by_prior(gazetteer: Gazetteer) -> Predict:
    """Baseline: the longest exact names, each linked to its most probable entity by prior."""
    return lambda text, _: decide_by_prior(gazetteer.find(text.document.text))


def by_ner(gazetteer: Gazetteer, degrees: Sequence[int]) -> Predict:
    """Baseline: named entities that exactly match a name of the graph, linked to the entity of highest degree."""

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
    """Scores as plain data: in the graph, outside, overall, candidate recall, mistakes; by kind, ambiguity, case,
    familiarity of the name and, where texts state one, domain."""
    domains = breakdown(assessment, lambda decision: decision.domain)
    return {
        "in_graph": assessment.in_graph.to_json(),
        "outside": assessment.outside.to_json(),
        "overall": assessment.overall.to_json(),
        "candidate_recall": round(assessment.candidate_recall, 6),
        "mistakes": dict(assessment.mistakes()),
        "by_kind": breakdown(assessment, lambda decision: decision.kind or "none"),
        "by_ambiguity": breakdown(assessment, lambda decision: ambiguity(decision.choices)),
        "by_case": breakdown(assessment, lambda decision: decision.written),
        "by_name": breakdown(assessment, lambda decision: decision.known),
        **({"by_domain": domains} if domains.keys() - {""} else {}),
    }


def breakdown(assessment: Assessment, group: Callable[[Decision], str]) -> dict[str, dict[str, float]]:
    """For each group, the largest first: gold mentions in the graph, how many of them are right, and recall."""
    given: Counter[str] = Counter()
    right: Counter[str] = Counter()
    seen: set[tuple[int, int]] = set()
    for decision in assessment.decisions:
        place = (decision.text, decision.start)
        if decision.given < 0 or (decision.mistake == "wrong entity") or place in seen:
            continue  # a wrong entity is also listed as a missed gold mention
        seen.add(place)
        given[group(decision)] += 1
        right[group(decision)] += decision.mistake is None
    return {
        name: {"given": count, "right": right[name], "recall": round(right[name] / count, 6)}
        for name, count in given.most_common()
    }


def case_of(surface: str) -> str:
    """The case of a surface form, in words."""
    if surface.islower():
        return "small letters"
    if surface.isupper():
        return "capitals"
    return "capital within" if surface[:1].islower() else "capital first"


def familiarity(candidates: Collection[int], given: int) -> str:
    """Whether the graph knows a mention's surface as a name of its entity, in words. `candidates`: rows of the entities
    that have the name; `given`: the gold row."""
    if given in candidates:
        return "name of the entity"
    return "name of others alone" if candidates else "no name of the graph"


def ambiguity(choices: int) -> str:
    """The ambiguity of a name by its number of candidates, in words."""
    if choices <= 1:
        return ("no candidate", "one candidate")[choices]
    return "two to four" if choices < 5 else "five or more"

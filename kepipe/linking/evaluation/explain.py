"""Explain a linker's decisions: for each name in a text its candidates, their scores, and each feature's
contribution."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kepipe.arrays import Floats
from kepipe.linking.candidates.matches import NEAR, Matches
from kepipe.linking.decision.policy import AS_LEARNED, Policy
from kepipe.linking.decision.pronouns import Reference
from kepipe.linking.features.dense import context_similarity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.links import LinkedSpan
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.batch import TextBatch

Outcome = Literal["linked", "below the threshold", "another name overlaps", "no name to NER", "not marked"]


@dataclass(frozen=True)
class Choice:
    """A candidate; `parts`: (feature, value, contribution to the logit), largest absolute contribution first."""

    entity: str
    label: str
    prior: float
    score: float
    parts: tuple[tuple[str, float, float], ...]


@dataclass(frozen=True)
class Explained:
    """A name at `start`..`end` of the text, its candidates (best first), and the outcome.

    `note`: why a span that is not a name of the graph has candidates (pronoun, joined place, fuzzy match, near name).
    """

    start: int
    end: int
    surface: str
    outcome: Outcome
    choices: tuple[Choice, ...]
    note: str = ""


def explain(
    linker: Linker, text: str, annotation: Annotations, title: str = "", policy: Policy = AS_LEARNED
) -> list[Explained]:
    """Every name of the graph in the text, linked or not, and all other links, in order."""
    threshold = linker.ranker.threshold if policy.threshold is None else policy.threshold
    matches, features, _ = linker.featurize(text, annotation, title)
    batch = TextBatch((text,), (title,), (annotation,))
    evidence = linker.evidence(batch, matches)
    dense = [(0.0, 0.0)] * len(matches.rows)
    if linker.dense is not None and evidence is not None:
        similarity = context_similarity(batch, matches, linker.dense)
        dense = list(zip(similarity.tolist(), evidence.tolist(), strict=True))
    scores = linker.ranker.score(features, evidence)
    allowed = policy.marks_of(linker.marks).allows(batch, matches, linker.knowledge)
    mentions = {
        (mention.start, mention.end): mention for mention in linker.link(text, annotation, title, policy)
    }
    named = features[:, FEATURES.index("name_same")] > 0
    explained = []
    bounds = matches.bounds
    for match in range(len(matches)):
        places = np.arange(*bounds[match : match + 2])
        places = places[np.lexsort((-scores[places], ~allowed[places]))].tolist()
        start, end = int(matches.starts[match]), int(matches.ends[match])
        outcome: Outcome = (
            "another name overlaps" if scores[places[0]] >= threshold else "below the threshold"
        )
        mention = mentions.get((start, end))
        best = places[0]
        if mention is not None and (mention.entity, mention.score) == (
            linker.knowledge.ids[int(matches.rows[best])],
            float(scores[best]),
        ):  # rather than a pronoun or fuzzy match with the span of an unlinked name
            del mentions[start, end]
            outcome = "linked"
        elif not allowed[best]:
            outcome = "not marked"
        elif policy.gate and annotation.names is not None and not named[places[0]]:
            outcome = "no name to NER"
        choices = tuple(
            _choice(
                linker,
                int(matches.rows[place]),
                matches.priors[place],
                scores[place],
                features[place],
                dense[place],
            )
            for place in places
        )
        note = _near_name(linker, matches, best)
        explained.append(Explained(start, end, text[start:end], outcome, choices, note))
    names = {
        reference.pronoun[:2]: reference.antecedent
        for reference in _references(linker, text, annotation, title, policy)
    }
    likeliest = {(each.start, each.choices[0].entity) for each in explained}
    for start, end in mentions:
        mention = mentions[start, end]
        label = linker.knowledge.labels[linker.row(mention.entity)]
        choice = Choice(mention.entity, label, 1.0, mention.score, ())
        if (name := names.get((start, end))) is not None:
            note = f"stands for {text[name.start : name.end]} at {name.start}–{name.end}"
        elif (start, mention.entity) in likeliest:
            note = "with what it lies in"
        else:
            note = "written almost like a name"
        explained.append(Explained(start, end, text[start:end], "linked", (choice,), note))
    return sorted(explained, key=lambda each: (each.start, each.end))


def _references(
    linker: Linker, text: str, annotation: Annotations, title: str, policy: Policy
) -> list[Reference]:
    """The antecedents of the pronouns of the text."""
    named = linker.link(text, annotation, title, replace(policy, pronouns=False))
    return linker.resolve_pronouns(
        text,
        annotation,
        (LinkedSpan(each.start, each.end, linker.row(each.entity), each.score) for each in named),
    )


def _near_name(linker: Linker, matches: Matches, place: int) -> str:
    """Which name of the graph is near the span of a candidate, if the dense view gave the candidate; else ""."""
    if linker.dense is None or matches.sources[place] != NEAR:
        return ""
    (name,), (cosine,) = linker.dense.nearest([matches.surfaces[int(matches.owners[place])]])
    return f"near the name {linker.dense.names[int(name)]}, cosine {cosine:.2f}"


def _choice(
    linker: Linker, row: int, prior: float, score: float, values: Floats, dense: tuple[float, float]
) -> Choice:
    """`dense`: similarity with the context in the dense view, and what it adds to the logit."""
    contributions = (values * linker.ranker.weights).tolist()
    parts = [
        *zip(FEATURES, values.tolist(), contributions, strict=True),
        ("dense", *dense),
    ]
    shown = sorted((part for part in parts if part[2]), key=lambda part: -abs(part[2]))
    knowledge = linker.knowledge
    return Choice(knowledge.ids[row], knowledge.labels[row], float(prior), float(score), tuple(shown))

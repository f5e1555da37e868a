"""Evidence for candidates that the linker does not use: coherence in the graph, and kinds by the words around.

Each is a function of a linker, a batch and its matches, whose values [P] are added to the logits of the candidates.
`linking_self_training` prints what they change. *Relative* evidence is 0 for the candidate of a match that has most of
it, and negative for the others, so that it does not tell whether a span is a mention.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import scipy.sparse as sp

from kepipe.arrays import Floats
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.coherence import coherence_features
from kepipe.linking.features.describe import CANDIDATE_FEATURES, describe
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.linker import Linker
from kepipe.linking.text.batch import TextBatch

Evidence = Callable[[Linker, TextBatch, Matches], Floats]
DAMPING, STEPS = 0.7, 4
"""Of PageRank: walks of at most `STEPS` steps, of which each is made with probability `DAMPING`."""
MIN_OCCURRENCES = 2
SMOOTHING = 4.0
BOUND = 2.0
"""Words that are this often near mentions of known kind are used; pseudo-counts of a word; the largest log odds."""


@dataclass(frozen=True)
class WithEvidence(Linker):
    """A linker with further evidence."""

    further: Evidence | None = None

    @classmethod
    def of(cls, linker: Linker, further: Evidence) -> Linker:
        """The same linker with it."""
        return cls(*(getattr(linker, field.name) for field in fields(Linker)), further)

    def evidence(self, batch: TextBatch, matches: Matches) -> Floats | None:
        """See `Linker.evidence`."""
        return None if self.further is None else self.further(self, batch, matches)


def relative(values: Floats, matches: Matches) -> Floats:
    """Values [P] minus the largest one of the match."""
    return values - np.maximum.reduceat(values, matches.bounds[:-1])[matches.owners]


def pagerank(weight: float) -> Evidence:
    """Personalised PageRank that restarts at the text's candidates by their priors (after Pershina et al. 2015); its
    logarithm, relative. What comes back to a candidate in two steps is left out."""
    known: dict[int, tuple[sp.csr_array, Floats]] = {}

    def evidence(linker: Linker, batch: TextBatch, matches: Matches) -> Floats:
        neighbours = linker.knowledge.neighbours
        if id(neighbours) not in known:
            adjacency = neighbours.astype(np.float64)
            step = sp.csr_array(sp.diags_array(1 / np.maximum(np.diff(adjacency.indptr), 1)) @ adjacency)
            back = np.asarray(step.multiply(step.T).sum(axis=1)).ravel()
            known[id(neighbours)] = sp.csr_array(step.T), back
        step, back = known[id(neighbours)]
        common = np.fromiter(map(linker.casing.common, matches.surfaces), float, len(matches))
        votes = matches.priors * (1 - common)[matches.owners]
        texts = batch.number(matches.starts)[matches.owners]
        shape = step.shape[0], len(batch.texts)
        walkers = sp.csr_array((votes, (matches.rows, texts)), shape=shape).toarray()
        visits = np.zeros_like(walkers)
        for _ in range(STEPS):
            walkers = DAMPING * (step @ walkers)
            visits += walkers
        other = visits[matches.rows, texts] - votes * DAMPING**2 * back[matches.rows]
        return weight * relative(np.log1p(100 * np.maximum(other, 0)), matches)

    return evidence


def second_pass(linker: Linker, batch: TextBatch, matches: Matches) -> Floats:
    """The features of coherence with the scores of a first pass as votes, in place of priors."""
    features = describe(batch, matches, linker.knowledge, linker.casing, linker.ranker.affinity)
    votes = linker.ranker.score_parts(features.of_match, features.of_candidate, matches.owners, None)
    votes[~linker.marks.allows(batch, matches, linker.knowledge)] = 0.0
    texts = batch.number(matches.starts)[matches.owners]
    better = coherence_features(matches, texts, votes, linker.knowledge.neighbours)
    weights = dict(zip(CANDIDATE_FEATURES, linker.ranker.weights[-len(CANDIDATE_FEATURES) :], strict=True))
    change = np.zeros(len(votes))
    for name in ("related", "kindred", "beside"):
        before = features.of_candidate[CANDIDATE_FEATURES.index(name)]
        change += weights[name] * (getattr(better, name) - before)
    return change


def neighbours(weight: float) -> Evidence:
    """The feature `related`, neighbours named in the text, relative."""

    def evidence(linker: Linker, batch: TextBatch, matches: Matches) -> Floats:
        features = describe(batch, matches, linker.knowledge, linker.casing, linker.ranker.affinity)
        return weight * relative(features.of_candidate[CANDIDATE_FEATURES.index("related")], matches)

    return evidence


_WORD = re.compile(r"[^\W\d_]+")
NEAR = 4
"""Words on either side of a mention."""


def words_around(text: str, start: int, end: int) -> set[str]:
    """The words near a span, with their side."""
    before = _WORD.findall(text[max(0, start - 60) : start])[-NEAR:]
    after = _WORD.findall(text[end : end + 60])[:NEAR]
    return {f"<{word.lower()}" for word in before} | {f">{word.lower()}" for word in after}


Mentions = Sequence[tuple[str, int, int, int]]
"""Text, start, end and kind of mentions whose entity is certain."""


def log_odds_of_kinds(mentions: Mentions) -> dict[str, Floats]:
    """ln p(kind | word near the mention) / p(kind) by word: [kinds] each."""
    counts: Mapping[str, Floats] = defaultdict(lambda: np.zeros(len(KINDS)))
    totals = Counter(kind for *_, kind in mentions)
    for text, start, end, kind in mentions:
        for word in words_around(text, start, end):
            counts[word][kind] += 1
    prior = np.asarray([totals[kind] + 1 for kind in range(len(KINDS))]) / (len(mentions) + len(KINDS))
    return {
        word: np.log((count + SMOOTHING * prior) / (count.sum() + SMOOTHING) / prior)
        for word, count in counts.items()
        if count.sum() >= MIN_OCCURRENCES
    }


def kinds_by_words(weight: float, odds_of: Callable[[str], Mapping[str, Floats]]) -> Evidence:
    """The log odds of a candidate's kind given the words around its match, relative; `odds_of` a text: those that were
    learned on other texts."""

    def of_matches(batch: TextBatch, matches: Matches) -> Iterator[Floats]:
        texts = batch.number(matches.starts).tolist()
        places = zip(matches.starts.tolist(), matches.ends.tolist(), texts, strict=True)
        for start, end, number in places:
            text, shift = batch.texts[number], int(batch.begins[number])
            odds = odds_of(text)
            known = (odds[word] for word in words_around(text, start - shift, end - shift) if word in odds)
            yield np.clip(sum(known, np.zeros(len(KINDS))), -BOUND, BOUND)

    def evidence(linker: Linker, batch: TextBatch, matches: Matches) -> Floats:
        by_kind = np.stack(list(of_matches(batch, matches)))
        values = by_kind[matches.owners, linker.knowledge.kinds[matches.rows]]
        return weight * relative(values, matches)

    return evidence

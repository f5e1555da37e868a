"""How near each candidate is to the mention's context in the dense view of the graph."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Floats
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.kb.dense import DenseView
from kepipe.linking.text.batch import TextBatch


def context_similarity(batch: TextBatch, matches: Matches, view: DenseView) -> Floats:
    """The cosine of each candidate's description with its mention's context, minus the largest one of the match: [P],
    0 or less. 0 for a single candidate, whose context is not computed."""
    similarity = np.zeros(len(matches.rows))
    bounds = matches.bounds
    ambiguous = np.flatnonzero(np.diff(bounds) > 1)
    if not len(ambiguous):
        return similarity
    contexts = view.contexts(batch, matches.starts[ambiguous], matches.ends[ambiguous])
    context = np.full(len(matches), -1)
    context[ambiguous] = np.arange(len(ambiguous))
    of_candidate = context[matches.owners]
    candidates = np.flatnonzero(of_candidate >= 0)
    entities = view.descriptions[matches.rows[candidates]].astype(np.float32)
    similarity[candidates] = np.einsum("pd,pd->p", contexts[of_candidate[candidates]], entities)
    best = np.maximum.reduceat(similarity, bounds[:-1])[matches.owners]
    relative: Floats = np.where(of_candidate >= 0, similarity - best, 0.0)
    return relative

"""Stage `shuffled-vectors`: control vectors, where every entity has another entity's vector."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Vectors


class ShuffledVectorsConfig(Section):
    """No settings; the permutation depends on the seed."""


@dataclass(frozen=True)
class ShuffledVectorsInputs:
    """The vectors to shuffle."""

    vectors: Vectors


def shuffle(inputs: ShuffledVectorsInputs, _config: ShuffledVectorsConfig, context: StageContext) -> None:
    """Permute the vectors among the entities so that none keeps its own; relations keep theirs.

    A model with these vectors sees the same number and distribution of vectors, one fixed vector per entity, but they
    say nothing about the relations between entities.
    """
    import numpy as np

    from kg.vectors import open_vectors, save_with_relations_of

    vectors = open_vectors(inputs.vectors.folder)
    if len(vectors) < 2:
        raise ValueError(f"{inputs.vectors.name}: {len(vectors)} vectors cannot be shuffled")
    order = np.random.default_rng(context.seed).permutation(len(vectors))
    matrix = np.empty_like(vectors.matrix)
    matrix[order] = vectors.matrix[np.roll(order, 1)]  # one cycle: no entity keeps its own
    save_with_relations_of(inputs.vectors.folder, context.out, vectors.ids, matrix)
    context.log({"entities": len(vectors)})


SHUFFLED_VECTORS = Stage(
    "shuffled-vectors", 1, ShuffledVectorsInputs, ShuffledVectorsConfig, Vectors, shuffle
)

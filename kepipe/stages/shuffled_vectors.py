"""Stage `shuffled-vectors`: every entity gets another's vector. A control: knowledge of the same shape, but wrong."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Vectors


class ShuffledVectorsConfig(Section):
    """Nothing to set: which entity gets whose vector comes from the seed."""


@dataclass(frozen=True)
class ShuffledVectorsInputs:
    """The vectors that change owners."""

    vectors: Vectors


def shuffle(inputs: ShuffledVectorsInputs, _config: ShuffledVectorsConfig, context: StageContext) -> None:
    """Write the same vectors, permuted among the entities so that none keeps its own; those of relations stay.

    A model that gets these learns from as many vectors of the same distribution, each always at the same entity.
    What they say of how entities stand to one another is gone.
    """
    import numpy as np

    from kg.vectors import open_vectors, save_with_relations_of

    vectors = open_vectors(inputs.vectors.folder)
    if len(vectors) < 2:
        raise ValueError(f"{inputs.vectors.name}: {len(vectors)} vectors cannot be shuffled")
    order = np.random.default_rng(context.seed).permutation(len(vectors))
    matrix = np.empty_like(vectors.matrix)
    matrix[order] = vectors.matrix[np.roll(order, 1)]  # one cycle through all: nobody keeps its own
    save_with_relations_of(inputs.vectors.folder, context.out, vectors.ids, matrix)
    context.log({"entities": len(vectors)})


SHUFFLED_VECTORS = Stage(
    "shuffled-vectors", 1, ShuffledVectorsInputs, ShuffledVectorsConfig, Vectors, shuffle
)

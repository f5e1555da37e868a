"""Stage `names-only-vectors`: all entities get one vector. A control: where entities are, and not which they are."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Vectors


class NamesOnlyVectorsConfig(Section):
    """Nothing to set."""


@dataclass(frozen=True)
class NamesOnlyVectorsInputs:
    """The vectors whose mean takes the place of each."""

    vectors: Vectors


def names_only(
    inputs: NamesOnlyVectorsInputs, _config: NamesOnlyVectorsConfig, context: StageContext
) -> None:
    """Write the mean of all vectors as each entity's; those of relations stay.

    A model that gets these is told where entities are named, and nothing that tells them apart.
    """
    import numpy as np

    from kg.vectors import open_vectors, save_with_relations_of

    vectors = open_vectors(inputs.vectors.folder)
    if not len(vectors):
        raise ValueError(f"{inputs.vectors.name}: there are no vectors")
    mean = vectors.matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
    matrix = np.tile(mean, (len(vectors), 1))
    save_with_relations_of(inputs.vectors.folder, context.out, vectors.ids, matrix)
    context.log({"entities": len(vectors)})


NAMES_ONLY_VECTORS = Stage(
    "names-only-vectors", 1, NamesOnlyVectorsInputs, NamesOnlyVectorsConfig, Vectors, names_only
)

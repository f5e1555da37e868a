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

    from kg.vectors import RELATION_IDS, TABLE, map_table, open_vectors, read_ids, save_vectors

    vectors = open_vectors(inputs.vectors.folder)
    if not len(vectors):
        raise ValueError(f"{inputs.vectors.name}: there are no vectors")
    mean = vectors.matrix.mean(axis=0, dtype=np.float64).astype(np.float32)
    matrix = np.tile(mean, (len(vectors), 1))
    relations = inputs.vectors.folder / RELATION_IDS
    if relations.is_file():
        table = map_table(inputs.vectors.folder / TABLE, "relations")
        save_vectors(context.out, vectors.ids, matrix, table, read_ids(relations))
    else:
        save_vectors(context.out, vectors.ids, matrix)
    context.log({"entities": len(vectors)})


NAMES_ONLY_VECTORS = Stage(
    "names-only-vectors", 1, NamesOnlyVectorsInputs, NamesOnlyVectorsConfig, Vectors, names_only
)

"""Stage `names-only-vectors`: control vectors, the same for all entities: they show where entities are, but not
which."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Vectors


class NamesOnlyVectorsConfig(Section):
    """No settings."""


@dataclass(frozen=True)
class NamesOnlyVectorsInputs:
    """The vectors that are replaced by their mean."""

    vectors: Vectors


def names_only(
    inputs: NamesOnlyVectorsInputs, _config: NamesOnlyVectorsConfig, context: StageContext
) -> None:
    """Replace each entity's vector by the mean of all; relations keep theirs.

    A model with these vectors learns where entities are mentioned, but cannot distinguish them.
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

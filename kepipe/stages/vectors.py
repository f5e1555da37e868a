"""Stage `vectors`: external entity vectors, in place of those of `embed`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict, Section, UserPath, runtime_only
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Graph, Vectors

if TYPE_CHECKING:
    from kg.store import Graph as StoredGraph


class VectorsConfig(Section):
    """External vectors: word2vec text format, or a folder of OpenKE or PyKEEN (docs/formats.md)."""

    path: UserPath | None = runtime_only(None)
    """The file or folder."""


@dataclass(frozen=True)
class VectorsInputs:
    """The graph whose entities the vectors belong to."""

    graph: Graph


def vectors(inputs: VectorsInputs, config: VectorsConfig, context: StageContext) -> None:
    """Write `vectors.safetensors` and `entities.txt`. Each entity gets the vector with its id, a further id of it, or
    its label if no other entity has that label."""
    import numpy as np

    from kg.problems import Problems
    from kg.sources.account import Account
    from kg.store import open_graph
    from kg.vector_files import format_of
    from kg.vectors import save_vectors

    assert config.path is not None
    graph, problems = open_graph(inputs.graph.folder), Problems()
    found = format_of(config.path).read(config.path, problems)
    if problems:
        context.warn(problems.summary())
    places = {id: place for place, id in reversed(list(enumerate(found.ids)))}
    taken: dict[int, int] = {}
    account = Account()
    for by, names in _names(graph).items():
        before = len(taken)
        for name, row in names:
            if name in places:
                taken.setdefault(row, places[name])
        account.take("vectors of entities", by, len(taken) - before)
    account.leave("vectors of no entity", count=len(found.ids) - len(set(taken.values())))
    if not taken:
        shown = ", ".join(map(repr, found.ids[:3]))
        raise ValueError(
            f"{config.path}: none of its {len(found.ids):,} vectors belongs to an entity of the graph; they are named "
            f"{shown}, …"
        )
    rows = sorted(taken)
    matrix = np.ascontiguousarray(found.entities[[taken[row] for row in rows]])
    relations = found.relations if found.relation_ids is not None else None
    save_vectors(context.out, [graph.ids[row] for row in rows], matrix, relations, found.relation_ids)
    context.log({"entities": len(rows), "without_vector": len(graph) - len(rows)})
    context.note(f"{len(rows):,} of {len(graph):,} entities have a vector, of width {matrix.shape[1]}")
    for line in account.lines():
        context.note(line)


def _names(graph: StoredGraph) -> dict[str, Iterable[tuple[str, int]]]:
    """(name, row) of ids, further ids, and unambiguous labels."""
    uses = Counter(graph.labels)
    alone = [(label, row) for row, label in enumerate(graph.labels) if uses[label] == 1]
    return {
        "ids": ((id, row) for row, id in enumerate(graph.ids)),
        "further ids": graph.further_ids(),
        "labels": alone,
        "labels with _ for blanks": ((label.replace(" ", "_"), row) for label, row in alone),
    }


def conflicts(planned: Planned) -> Iterable[ConfigConflict]:
    """A missing path, or one without vectors."""
    from kg.vector_files import format_of

    path = planned.config.path
    if path is None:
        yield ConfigConflict("path", "give the file or folder of the vectors")
        return
    try:
        format_of(path)
    except ValueError as error:
        yield ConfigConflict("path", str(error))


def fingerprint(config: VectorsConfig) -> Mapping[str, str]:
    """Digests of the files."""
    from kg.vector_files import format_of

    if config.path is None:
        return {}
    return {file.name: digest_source(file) for file in format_of(config.path).find(config.path)}


VECTORS = Stage("vectors", 1, VectorsInputs, VectorsConfig, Vectors, vectors, fingerprint, conflicts)

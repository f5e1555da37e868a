"""Keep the linker of the text on which a model was trained, so that old documents keep their links."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from kepipe.config import cache_key_fields
from kepipe.flow.artifact import CorruptArtifact, link_folder, verify
from kepipe.linking import LINKER
from kepipe.stages.artifacts import Linked
from kepipe.stages.made_of import made_of
from kg.regular_files import read_json

if TYPE_CHECKING:
    from kepipe.flow.lineage import StageResult
    from kepipe.flow.stage import StageContext
    from kepipe.stages.link import LinkConfig, LinkInputs

LINKER_DOCUMENTS = "linker_documents"
"""The field of `scores.json` with the number of documents of which the linker was made."""


class EarlierLinker(NamedTuple):
    """A linker's folder, and the number of documents of which it was made."""

    folder: Path
    num_documents: int


def keep_linker(
    inputs: LinkInputs, config: LinkConfig, version: int, sources: Mapping[str, str], context: StageContext
) -> EarlierLinker | None:
    """The linker of the text on which `inputs.start` was trained, in the scratch folder; None, with a note that says
    why, if it is to be made anew. `version` and `sources`: the stage's version and its fingerprint."""
    from kepipe.linking.linker import Linker

    if inputs.start is None:
        return None
    found = made_of(inputs.start, "shards", "link")
    if found is None:
        context.note(f"`{inputs.start.name}` has no linked text in the store: a new linker is made")
        return None
    if changes := list(_changes(found, inputs, config, version, sources, context.seed)):
        context.note(f"a new linker is made, and all documents are linked: {', '.join(changes)}")
        return None
    earlier = EarlierLinker(
        context.scratch / "earlier-linker", int(read_json(found.folder / "scores.json")[LINKER_DOCUMENTS])
    )
    now = inputs.corpus.documents()
    if now >= config.relearn * earlier.num_documents:
        context.note(
            "a new linker is made, and all documents are linked: the earlier one was made of "
            f"{earlier.num_documents:,} documents, and now there are {now:,} (`relearn: {config.relearn:g}`)"
        )
        return None
    try:
        verify(found.folder, thorough=True)
        shutil.rmtree(earlier.folder, ignore_errors=True)
        link_folder(found.folder / LINKER, earlier.folder)
        Linker.open(earlier.folder)
    except (CorruptArtifact, OSError, ValueError) as reason:
        context.warn(f"the linker of `{inputs.start.name}` cannot be used, and a new one is made: {reason}")
        return None
    context.note(
        f"the linker of `{inputs.start.name}` is kept, with the common words and the ranker that were learned from "
        f"{earlier.num_documents:,} documents"
    )
    return earlier


def _changes(
    made: StageResult,
    inputs: LinkInputs,
    config: LinkConfig,
    version: int,
    sources: Mapping[str, str],
    seed: int,
) -> Iterator[str]:
    """What has changed since a text was linked, other than the text."""
    if made.version != version:
        yield "the stage's version has changed"
    if dict(made.inputs()).get("graph") != inputs.graph.digest:
        yield "the graph has changed"
    if Linked(made.folder, "").held_out_share() != inputs.corpus.held_out_share():
        yield "`held_out` of the corpus has changed"
    if made.sources != sources or made.seed != seed:
        yield "the spaCy pipeline, a model or the seed has changed"
    settings = cache_key_fields(config)
    for name in sorted(settings.keys() | made.settings.keys()):
        if name != "relearn" and settings.get(name) != made.settings.get(name):
            yield f"`{name}` has changed"

"""The linker as a spaCy component: `nlp.add_pipe("kepipe_linker", config={"path": "…/linker"})`.

The component is registered by an entry point, or by importing this module. It uses the annotations of earlier pipes
(tags, parse, entities; all optional), writes the mentions to `doc.spans["kepipe"]` (label: the NER label if there is
one; kb_id: the entity's id), and sets `kb_id_` on entities in `doc.ents` with the same span as a mention. Mentions that
do not align with token boundaries are expanded to them.
"""

from __future__ import annotations

import io
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc, Span

from kepipe.data.document import Mention
from kepipe.linking.decision.policy import Policy
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import doc_annotations

KEY = "kepipe"
NO_LINKER = (
    "no linker at {path}; set `path` to the folder of a stage link, `kepipe link train` or `Linker.save`"
)

META = "kepipe_linkers"
"""Key of the pipeline's meta data: the names of its linker components, which a saved pipeline keeps."""


def is_linker(path: Path) -> bool:
    """Whether a folder holds a linker."""
    return (path / "linker.json").is_file()


class KepipeLinker:
    """The component. `path`: a linker folder; `from_disk` and `from_bytes` load another.

    A saved pipeline stores `path` in its config, and also a copy of the linker. If `path` does not exist, for example
    on another machine, the constructor warns, and only linking without a loaded linker raises ValueError.
    """

    def __init__(self, name: str, path: str | None, policy: Policy) -> None:
        self.name, self.policy = name, policy
        self._unpacked: tempfile.TemporaryDirectory[str] | None = None
        self.path = path
        self.linker: Linker | None = None
        if path is not None and is_linker(Path(path)):
            self.linker = Linker.open(Path(path))
        elif path is not None:
            warnings.warn(f"{name}: {NO_LINKER.format(path=path)}", stacklevel=2)

    def __call__(self, doc: Doc) -> Doc:
        """Link one document."""
        return next(self.pipe((doc,)))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Link documents in batches: same results as one by one, but many times as fast for short texts."""
        rest = iter(stream)
        while docs := list(islice(rest, batch_size)):
            if self.linker is None:
                raise ValueError(f"{self.name}: {NO_LINKER.format(path=self.path)}")
            annotations = [doc_annotations(doc) for doc in docs]
            texts = [(doc.text, "", annotation) for doc, annotation in zip(docs, annotations, strict=True)]
            linked = self.linker.link_all(texts, self.policy)
            for doc, annotation, mentions in zip(docs, annotations, linked, strict=True):
                _annotate(doc, annotation, mentions)
                yield doc

    def __reduce__(self) -> Any:
        """Another process opens the same folder; a temporary one, unpacked by `from_bytes`, is pickled with the
        object."""
        rebuilt = KepipeLinker, (self.name, self.path, self.policy)
        return rebuilt if self._unpacked is None else (*rebuilt, self.to_bytes())

    def __setstate__(self, data: bytes) -> None:
        self.from_bytes(data)

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:  # noqa: ARG002 (spaCy passes it)
        """Write the linker folder, possibly over the one that the linker was opened from."""
        if self.linker is not None:
            self.linker.save(Path(path))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> KepipeLinker:  # noqa: ARG002 (spaCy passes it)
        """Open the linker folder, if it exists (a pipeline may be saved without a linker)."""
        if Path(path).exists():
            self.linker, self.path = Linker.open(Path(path)), str(path)
        return self

    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:  # noqa: ARG002 (spaCy passes it)
        """The linker folder as a ZIP archive."""
        stream = io.BytesIO()
        with (
            tempfile.TemporaryDirectory() as folder,
            zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            self.to_disk(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    archive.writestr(zipfile.ZipInfo(str(file.relative_to(folder))), file.read_bytes())
        return stream.getvalue()

    def from_bytes(self, data: bytes, *, exclude: Iterable[str] = ()) -> KepipeLinker:  # noqa: ARG002 (spaCy passes it)
        """Open the archive of `to_bytes`, unpacked into a temporary folder that lives as long as this object."""
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if not archive.namelist():
                return self
            self._unpacked = tempfile.TemporaryDirectory(prefix="kepipe-linker-")
            archive.extractall(self._unpacked.name)
        return self.from_disk(self._unpacked.name)


def _annotate(doc: Doc, annotation: Annotations, mentions: Sequence[Mention]) -> None:
    """Write mentions to `doc.spans`, and their ids to the entities with the same span.

    Entities are compared without a leading "the" and a trailing "'s". Other entities keep their `kb_id_`.
    """
    names = {
        (name.start, name.end): entity for name, entity in zip(annotation.names or (), doc.ents, strict=False)
    }
    spans, changed = [], []
    for mention in mentions:
        entity = names.get((mention.start, mention.end))
        span = doc.char_span(mention.start, mention.end, alignment_mode="expand")
        assert span is not None, "a mention lies within the text"
        label = entity.label if entity is not None else 0
        spans.append(Span(doc, span.start, span.end, label=label, kb_id=mention.entity))
        if entity is not None:
            changed.append(
                Span(doc, entity.start, entity.end, label, kb_id=mention.entity, span_id=entity.ent_id)
            )
    doc.spans[KEY] = spans
    if changed:
        doc.set_ents(changed, default="unmodified")


@Language.factory(
    "kepipe_linker",
    default_config={"path": None, "threshold": None, "pronouns": None, "join": None},
    assigns=["doc.spans", "doc.ents", "token.ent_kb_id"],
)
def make_component(
    nlp: Language,
    name: str,
    path: str | None,
    threshold: float | None,
    pronouns: bool | None,
    join: bool | None,
) -> KepipeLinker:
    """`threshold`, `pronouns`, `join`: override the linker's own (`Policy`).

    Raises ValueError for a threshold outside 0..1, and for a path without a linker, unless the pipeline was saved
    with a copy of it: then its meta data lists the component's name.
    """
    if threshold is not None and not 0 <= threshold <= 1:
        raise ValueError(f"{name}: threshold: {threshold:g} is not a probability; give 0 to 1")
    saved: list[str] = nlp.meta.setdefault(META, [])
    if path is not None and name not in saved and not is_linker(Path(path)):
        raise ValueError(f"{name}: {NO_LINKER.format(path=path)}")
    nlp.meta[META] = sorted({*saved, name})
    return KepipeLinker(name, path, Policy(threshold, pronouns=pronouns, join=join))

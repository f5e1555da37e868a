"""The linker in anybody's spaCy pipeline: `nlp.add_pipe("kepipe_linker", config={"path": "…/linker"})`.

The component is registered by an entry point, or by importing this module. It uses what the pipes before it found
(tags, parse, entities; all optional), writes the mentions to `doc.spans["kepipe"]` (label: the NER label where
there is one; kb_id: the entity's id), and sets `kb_id_` on the entities in `doc.ents` that a mention covers
exactly. Mentions that do not fall on token borders are widened to them.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import filter_spans

from kepipe.linking.linker import Linker
from kepipe.linking.policy import Policy
from kepipe.linking.reading import read_doc

KEY = "kepipe"


class KepipeLinker:
    """The component. `path`: a linker folder; `from_disk` and `from_bytes` load another.

    A saved pipeline remembers `path`, but carries its linker along: where nothing is at `path` any more, as on another
    machine, that is no error until a text is to be linked.
    """

    def __init__(self, name: str, path: str | None, policy: Policy) -> None:
        self.name, self.policy = name, policy
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.path = path
        found = path is not None and Path(path, "linker.json").exists()
        self.linker = Linker.open(Path(str(path))) if found else None

    def __call__(self, doc: Doc) -> Doc:
        """Link one document."""
        if self.linker is None:
            raise ValueError(
                f"{self.name}: no linker at {self.path}; give `path`, the folder `linker` that the stage link made"
            )
        mentions = self.linker.link(doc.text, read_doc(doc), policy=self.policy)
        labels = {(entity.start, entity.end): entity.label_ for entity in doc.ents}
        found, linked = [], {}
        for mention in mentions:
            span = doc.char_span(mention.start, mention.end, alignment_mode="expand")
            assert span is not None, "a mention lies within the text"
            place = (span.start, span.end)
            linked[place] = mention.entity
            found.append(Span(doc, *place, label=labels.get(place, ""), kb_id=mention.entity))
        doc.spans[KEY] = found
        doc.set_ents(
            filter_spans(
                Span(
                    doc,
                    entity.start,
                    entity.end,
                    entity.label,
                    kb_id=linked.get((entity.start, entity.end), ""),
                )
                for entity in doc.ents
            )
        )
        return doc

    def to_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> None:  # noqa: ARG002 (spaCy passes it)
        """Write the linker folder."""
        if self.linker is not None:
            Path(path).mkdir(parents=True, exist_ok=True)
            self.linker.save(Path(path))

    def from_disk(self, path: str | Path, *, exclude: Iterable[str] = ()) -> KepipeLinker:  # noqa: ARG002 (spaCy passes it)
        """Open the linker folder."""
        self.linker = Linker.open(Path(path))
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
        """Open what `to_bytes` gave; its files lie in a temporary folder as long as this object lives."""
        self._folder = tempfile.TemporaryDirectory(prefix="kepipe-linker-")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(self._folder.name)
        return self.from_disk(self._folder.name)


@Language.factory(
    "kepipe_linker",
    default_config={"path": None, "threshold": None, "pronouns": None, "join": None},
    assigns=["doc.spans", "doc.ents", "token.ent_kb_id"],
)
def make_component(
    nlp: Language,  # noqa: ARG001 (spaCy passes it)
    name: str,
    path: str | None,
    threshold: float | None,
    pronouns: bool | None,
    join: bool | None,
) -> KepipeLinker:
    """`threshold`, `pronouns`, `join`: instead of the linker's own (`Policy`)."""
    return KepipeLinker(name, path, Policy(threshold, pronouns=pronouns, join=join))

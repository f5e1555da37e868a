from pathlib import Path

from kepipe.data.document import Document, Mention, Span
from kepipe.linking.corpus.annotated import AnnotatedChunk
from kepipe.linking.text.annotations import Annotations, Name


def test_a_chunk_round_trips(tmp_path: Path) -> None:
    documents = [
        Document("a", "Io and Ganymede", sentences=(Span(0, 2),), mentions=(Mention(0, 2, "io"),)),
        Document("b", "Mars", gold=(Mention(0, 4, "mars"),)),
        Document("c", "Rhea"),
    ]
    annotations = [
        Annotations(
            (Span(0, 15),), (Span(0, 2), Span(7, 15)), (Span(0, 2),), (Name(0, 2, "LOC"), Name(7, 15, "PER"))
        ),
        Annotations((Span(0, 4),), (), (), ()),
        Annotations((), ()),
    ]
    AnnotatedChunk.of(documents, annotations).save(tmp_path / "chunk.npz")
    chunk = AnnotatedChunk.open(tmp_path / "chunk.npz")
    assert chunk is not None
    assert chunk.documents == [
        Document("a", "Io and Ganymede", sentences=(Span(0, 15),), phrases=(Span(0, 2), Span(7, 15))),
        Document("b", "Mars", sentences=(Span(0, 4),), gold=(Mention(0, 4, "mars"),)),
        Document("c", "Rhea"),
    ]
    assert list(chunk.annotations) == annotations
    assert AnnotatedChunk.open(tmp_path / "none.npz") is None

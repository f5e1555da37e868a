from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.data.document_files import held_out, write_documents
from kepipe.data.parsed_chunks import SPLITS, ParsedChunk, ParsedChunks, TrainingTexts
from tests.support.stages import count_parsed

DOCUMENTS = [Document(f"d{number}", f"text {number} é") for number in range(50)]


@pytest.fixture
def chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ParsedChunks:
    monkeypatch.setattr("kepipe.data.parsed_chunks.CHUNK", 100)
    write_documents(tmp_path / "documents.jsonl", DOCUMENTS)
    return ParsedChunks(tmp_path / "documents.jsonl", 0.2, tmp_path / "kept")


def documents(read: list[ParsedChunk]) -> dict[str, list[Document]]:
    return {split: [d for chunk in read for d in chunk.splits[split].documents()] for split in SPLITS}


def test_each_document_is_in_its_chunk_and_split(chunks: ParsedChunks) -> None:
    read = list(chunks.read())
    assert len(read) > 3
    assert documents(read) == {
        "train": [document for document in DOCUMENTS if not held_out(document.id, 0.2)],
        "held_out": [document for document in DOCUMENTS if held_out(document.id, 0.2)],
    }
    assert (read[-1].offset, read[-1].line) == (chunks.file.stat().st_size, 50)
    rest = list(chunks.read(read[0].offset, read[0].line))
    assert documents(rest) == documents(read[1:])


def test_parsed_chunks_are_read_from_the_cache(chunks: ParsedChunks, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = count_parsed(chunks.file, monkeypatch)
    reading = chunks.read()
    first = [next(reading), next(reading)]
    assert 0 < parsed.total() < 50
    later = list(ParsedChunks(chunks.file, 0.2, chunks.kept).read())
    assert documents(later[:2]) == documents(first)
    values: list[int] = []
    texts = TrainingTexts(chunks, values.append)
    assert (
        list(texts)
        == list(texts)
        == list(later[0].splits["train"].texts)
        + [text for chunk in later[1:] for text in chunk.splits["train"].texts]
    )
    assert sum(values) == 2 * len(documents(later)["train"])
    assert set(parsed.values()) == {1}
    assert len(parsed) == 50


def test_a_damaged_chunk_is_parsed_again(chunks: ParsedChunks) -> None:
    read = documents(list(chunks.read()))
    assert chunks.kept is not None
    second = sorted(chunks.kept.iterdir())[1]
    second.write_bytes(second.read_bytes()[:-9])
    assert documents(list(chunks.read())) == read


def test_chunks_are_not_cached_without_a_folder(chunks: ParsedChunks) -> None:
    once = ParsedChunks(chunks.file, 0.2)
    assert documents(list(once.read())) == documents(list(chunks.read()))
    assert sorted(chunks.file.parent.iterdir()) == [chunks.file, chunks.kept]


def test_places_are_found_by_the_ends_of_cached_chunks(chunks: ParsedChunks) -> None:
    read, places = documents(list(chunks.read())), list(chunks.places())
    assert [place.end for place in places] == [chunk.offset for chunk in chunks.read()]
    assert documents([chunks.open(place) for place in places]) == read
    assert chunks.kept is not None
    second = sorted(chunks.kept.iterdir())[1]
    damaged = second.read_bytes().replace(b"text", b"next", 1)
    second.write_bytes(damaged)
    assert list(chunks.places()) == places
    assert second.read_bytes() == damaged
    assert documents([chunks.open(place) for place in places]) == read

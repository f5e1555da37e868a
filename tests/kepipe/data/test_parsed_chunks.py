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
    later = list(ParsedChunks(chunks.file, 0.2, chunks.folder).read())
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
    assert chunks.folder is not None
    second = sorted(chunks.folder.iterdir())[1]
    second.write_bytes(second.read_bytes()[:-9])
    assert documents(list(chunks.read())) == read


def test_chunks_are_not_cached_without_a_folder(chunks: ParsedChunks) -> None:
    once = ParsedChunks(chunks.file, 0.2)
    assert documents(list(once.read())) == documents(list(chunks.read()))
    assert sorted(chunks.file.parent.iterdir()) == [chunks.file, chunks.folder]


def test_chunks_away_from_a_change_stay_the_same(chunks: ParsedChunks) -> None:
    def batches(documents: list[Document]) -> list[bytes]:
        write_documents(chunks.file, documents)
        return [chunks.lines(place) for place in chunks.places()]

    many = [Document(f"d{number}", f"text {number} " + "é" * (number % 7)) for number in range(400)]
    before = batches(many)
    assert b"".join(before) == chunks.file.read_bytes()
    assert all(50 <= len(batch) < 300 for batch in before[:-1])
    assert len({len(batch) for batch in before}) > 10
    now = [Document("a", "a new text before all others"), *many]
    now[200] = Document("d199", "a changed text")
    del now[300]
    after = batches(now)
    assert len({*before} - {*after}) <= 9 < len(before) / 8
    assert (before[0] in after, before[-1] in after) == (False, True)


def test_a_chunk_of_the_cache_with_another_end_is_parsed_again(
    chunks: ParsedChunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = documents(list(chunks.read()))
    monkeypatch.setattr("kepipe.data.parsed_chunks.CHUNK", 300)
    assert documents(list(chunks.read())) == read

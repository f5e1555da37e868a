"""Files of word vectors: exchange with gensim, GloVe's format, and invalid files."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors
from gensim.test.utils import datapath

from kepipe.models.static import formats
from kepipe.models.static.word_vectors import WordVectors
from kg.sources import reading


def some() -> WordVectors:
    vectors = np.random.default_rng(0).normal(size=(50, 7)).astype(np.float32)
    vectors[3, 2], vectors[4, 1] = 1e-30, -12345.678
    return WordVectors(["naïve", "北京", *(f"w{number}" for number in range(48))], vectors)


@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_written_files(binary: bool, tmp_path: Path) -> None:
    vectors = some()
    formats.write(tmp_path / "v", vectors, "word2vec-binary" if binary else "word2vec")
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / "v"), binary=binary)
    assert theirs.index_to_key == vectors.words
    assert np.array_equal(theirs.vectors, vectors.vectors)


@pytest.mark.parametrize("binary", [False, True])
def test_files_of_gensim_are_read(binary: bool, tmp_path: Path) -> None:
    vectors = some()
    theirs = KeyedVectors(7)
    theirs.add_vectors(vectors.words, vectors.vectors)
    theirs.save_word2vec_format(str(tmp_path / "v"), binary=binary)
    read = formats.read(tmp_path / "v")
    assert read.words == vectors.words
    assert np.array_equal(read.vectors, vectors.vectors)


@pytest.mark.parametrize(
    ("name", "binary", "header"),
    [
        ("test_glove.txt", False, False),
        ("word2vec_pre_kv_c", False, True),
        ("euclidean_vectors.bin", True, True),
        ("high_precision.kv.txt", False, True),
        ("high_precision.kv.bin", True, True),
        ("lee_fasttext.vec", False, True),
    ],
)
def test_other_files_agree_with_gensim(name: str, binary: bool, header: bool) -> None:
    file = datapath(name)
    theirs = KeyedVectors.load_word2vec_format(file, binary=binary, no_header=not header)
    ours = formats.read(Path(file))
    assert ours.words == theirs.index_to_key
    assert np.array_equal(ours.vectors, theirs.vectors)
    assert formats.width(Path(file)) == theirs.vector_size


@pytest.mark.parametrize("format", formats.FORMATS)
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_every_format_round_trips_exactly(format: str, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"v{ending}"
    formats.write(file, some(), format)
    if ending:
        gzip.decompress(file.read_bytes())
    read = formats.read(file)
    assert read.words == some().words
    assert np.array_equal(read.vectors, some().vectors)


def test_words_with_blanks_in_glove_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("the 1 2\n. . . 3 4\nat name@domain.com 5 6\n")
    read = formats.read(tmp_path / "g.txt")
    assert read.words == ["the", ". . .", "at name@domain.com"]
    assert read.vectors.tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(ValueError, match=r"'\. \. \.' cannot be written in the format word2vec-binary"):
        formats.write(tmp_path / "b", read, "word2vec-binary")


def test_the_first_of_duplicate_words_is_kept_and_reported(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("a 1 2\nb 3 4\na 5 6\n")
    messages: list[str] = []
    read = formats.read(tmp_path / "g.txt", note=messages.append)
    assert read.words == ["a", "b"]
    assert read.vectors.tolist() == [[1, 2], [3, 4]]
    assert "1 duplicate words" in messages[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a 1 2\nb 3 x\n", r":2: expected a word and 2 numbers, found b'b 3 x'"),
        (b"a 1 2\n\nb 3\n", r":3: expected a word and 2 numbers"),
        (b"2 3\na 1 2 3\n", r":1: the header says 2 words; there are 1"),
        (b"2 2\na 1 2\nb 3 4 \xff\n", r":3: expected a word and 2 numbers"),
        (b"a 1 2\n\xff 3 4\n", r":2: the word is not UTF-8"),
        (b"a 1 nan\n", r"the vector of 'a' has values that are not finite"),
        (b"", r"holds no vectors"),
        (b"5000000000 300\na \0\0\0\0\0\0", r":1: the header says 5,000,000,000 vectors of 300 values"),
        (b"1 99999999\na \0\0\0", r":1: expected vectors of 1 to 131,072 values"),
    ],
)
def test_errors_have_a_line_number(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "v").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        formats.read(tmp_path / "v")


def test_a_truncated_binary_file_is_an_error(tmp_path: Path) -> None:
    formats.write(tmp_path / "v", some(), "word2vec-binary")
    whole = (tmp_path / "v").read_bytes()
    (tmp_path / "v").write_bytes(whole[:-9])
    with pytest.raises(ValueError, match=r"ends within vector 50 of 50"):
        formats.read(tmp_path / "v")


def test_an_endless_line_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FREE", 1 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"a 1 2\n" * (1 << 19)))
    os.mkfifo(tmp_path / "pipe")
    for read in (formats.read, formats.width):
        with pytest.raises(ValueError, match=r"pipe: expected a file, found a pipe"):
            read(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"bomb\.gz: unpacks to more than 200 times its size"):
        formats.read(tmp_path / "bomb.gz")

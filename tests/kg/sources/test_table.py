"""The table of formats: each is found by its name, and readers share what they should."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from kg.problems import Problems
from kg.sources.reading import Choices, rank_language
from kg.sources.table import FORMATS, guess, read_source, size
from kg.writer import GraphWriter
from tests.support.sources import Read


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("HowNet.spo", "spo"),
        ("triples.tsv", "native"),
        ("Export.CSV", "csv"),
        ("labels_en.nt.bz2", "rdf"),
        ("onto.owl", "rdf"),
        ("latest-all.json.gz", "wikidata"),
        ("labels.nt.zst", "rdf"),  # which the reader then refuses by its name
        ("data.noun", "wordnet"),
        ("g.graphml", "graphml"),
    ],
)
def test_formats_by_name(name: str, format: str) -> None:
    assert guess(Path(name)).name == format


def test_folders(tmp_path: Path) -> None:
    assert guess(tmp_path).name == "native"
    (tmp_path / "data.verb").touch()
    assert guess(tmp_path).name == "wordnet"


def test_an_unknown_name_lists_what_is_known() -> None:
    with pytest.raises(ValueError, match=r"notes\.txt: cannot tell its format .*\.spo"):
        guess(Path("notes.txt"))


@pytest.mark.parametrize("format", [f for f in FORMATS.values() if not f.package], ids=lambda f: f.name)
def test_a_missing_file_is_said(format: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a|no such file"):
        FORMATS[format.name].files(tmp_path / "missing" / "x")  # type: ignore[attr-defined]


def test_a_source_without_a_triple_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "g.spo"
    file.write_text("a\tb\n")
    with pytest.raises(
        ValueError, match=r"g\.spo: no triples to train on; 1 problem in the input:\n  g\.spo:1: "
    ):
        read_source(
            FORMATS["spo"], file, GraphWriter(tmp_path / "out"), Problems(), lambda _: None, Choices()
        )
    assert size(FORMATS["spo"], file) == 4
    table = tmp_path / "g.tsv"
    table.write_text("head\trelation\ttail\tnote\na\tr\tb\tx\n")
    with pytest.raises(ValueError, match=r"g\.tsv:1: expected 3 columns(?s:.*)is of the format `csv`$"):
        read_source(
            FORMATS["native"], table, GraphWriter(tmp_path / "out"), Problems(), lambda _: None, Choices()
        )


@pytest.mark.parametrize("name", ["g.tsv", "g.csv", "g.spo", "g.nt", "g.ttl", "g.rdf", "g.json"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("\ufeffa\tr\tb\nc\tr\td\n".encode("utf-16-le"), "UTF-16, expected UTF-8: iconv"),
        ("\ufeffa\tr\tb\nc\tr\td\n".encode("utf-16-be"), "UTF-16, expected UTF-8: iconv"),
        (lzma.compress(b"a\tr\tb\n"), "packed with xz: unpack it"),
        (b"PK\x03\x04\n\n\n", "packed with zip: unpack it"),
    ],
)
def test_a_file_of_another_kind_is_called_so(
    read: Read, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    found = read(file)
    assert not len(found.graph)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(f"{name}: {message}")


def test_every_choice_is_heeded_by_some_format() -> None:
    assert {name for format in FORMATS.values() for name in format.options} == set(Choices.__slots__)


def test_languages() -> None:
    assert rank_language("zh", ("zh", "en")) == 0
    assert rank_language("zh-Hans", ("zh", "en")) == 1
    assert rank_language("zh_cn", ("ZH", "en")) == 1
    assert rank_language("en", ("zh", "en")) == 2
    assert rank_language("", ("zh", "en")) == rank_language("mul", ("zh", "en")) == 4
    assert rank_language("zhuang", ("zh",)) is None
    assert rank_language("de", ("zh",)) is None

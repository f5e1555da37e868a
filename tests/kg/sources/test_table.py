"""The table of formats: each is detected by file name; behaviour that all readers share."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
        ("labels.nt.zst", "rdf"),
        ("data.noun", "wordnet"),
        ("g.graphml", "graphml"),
    ],
)
def test_formats_are_detected_by_file_name(name: str, format: str) -> None:
    assert guess(Path(name)).name == format


@pytest.mark.parametrize(
    ("ending", "pack"),
    [
        ("", bytes), (".gz", gzip.compress), (".GZ", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress),
        (".zst", lambda data: pa.Codec("zstd").compress(data, asbytes=True)),
    ],
)  # fmt: skip
def test_packed_table_is_distinguished_from_triples(
    read: Read, tmp_path: Path, ending: str, pack: Callable[[bytes], bytes]
) -> None:
    table, triples = tmp_path / f"h.tsv{ending}", tmp_path / f"t.tsv{ending}"
    table.write_bytes(pack(b"tail\trelation\thead\tnote\nb\tr\ta\tx\n"))
    triples.write_bytes(pack(b"a\tr\tb\n"))
    assert guess(table).name == "csv"
    assert guess(triples).name == "native"
    assert read(table).facts() == {("a", "r", "b")}


def test_messages_list_every_compression(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.txt"
    file.touch()
    with pytest.raises(ValueError, match=r"\.jsonld \(or these with \.gz \.bz2 \.xz \.zst\)$"):
        read(file, format="rdf")
    (tmp_path / "g.nt").write_bytes(b"PK\x03\x04")
    (problem,) = read(tmp_path / "g.nt").problems
    assert problem.endswith("compressed with zip: decompress it, or use one of gzip, bzip2, xz, zstd")


def test_folder_formats_are_detected(tmp_path: Path) -> None:
    assert guess(tmp_path).name == "native"
    (tmp_path / "data.verb").touch()
    assert guess(tmp_path).name == "wordnet"


def test_unknown_file_name_lists_known_formats() -> None:
    with pytest.raises(ValueError, match=r"notes\.txt: cannot tell its format .*\.spo"):
        guess(Path("notes.txt"))


@pytest.mark.parametrize("format", [f for f in FORMATS.values() if not f.package], ids=lambda f: f.name)
def test_missing_file_is_reported(format: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a|no such file"):
        FORMATS[format.name].files(tmp_path / "missing" / "x")  # type: ignore[attr-defined]


def test_source_without_triples_is_rejected(tmp_path: Path) -> None:
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
    with pytest.raises(ValueError, match=r"g\.tsv:1: expected 3 columns(?s:.*)has the format `csv`$"):
        read_source(
            FORMATS["native"], table, GraphWriter(tmp_path / "out"), Problems(), lambda _: None, Choices()
        )


@pytest.mark.parametrize("name", ["g.tsv", "g.csv", "g.spo", "g.nt", "g.ttl", "g.rdf", "g.json"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("\ufeffa\tr\tb\nc\tr\td\n".encode("utf-16-le"), "UTF-16, expected UTF-8: iconv"),
        ("\ufeffa\tr\tb\nc\tr\td\n".encode("utf-16-be"), "UTF-16, expected UTF-8: iconv"),
        (b"Rar!\x1a\x07\x01\x00", "compressed with rar: decompress it"),
        (b"PK\x03\x04\n\n\n", "compressed with zip: decompress it"),
    ],
)
def test_file_of_another_kind_is_recognised(
    read: Read, tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    found = read(file)
    assert not len(found.graph)
    assert len(found.problems) == 1
    assert found.problems[0].startswith(f"{name}: {message}")


def test_every_import_option_is_used_by_a_format() -> None:
    for_all = {"relations"}
    assert {name for format in FORMATS.values() for name in format.options} | for_all == set(
        Choices.__slots__
    )


def test_language_rank_of_tags() -> None:
    assert rank_language("zh", ("zh", "en")) == 0
    assert rank_language("zh-Hans", ("zh", "en")) == 1
    assert rank_language("zh_cn", ("ZH", "en")) == 1
    assert rank_language("en", ("zh", "en")) == 2
    assert rank_language("", ("zh", "en")) == rank_language("mul", ("zh", "en")) == 4
    assert rank_language("zhuang", ("zh",)) is None
    assert rank_language("de", ("zh",)) is None


HEADS = {
    "nodes-edges": b":ID,:START_ID,:END_ID,:TYPE\n", "cskg": b"node1\trelation\tnode2\n",
    "csv": b"head,relation,tail\n",
    "obo": b"[Term]\nid: A:1\n", "obo-json": b'{"graphs": [', "wikidata": b'{"type": "item", "id": "Q1"}\n',
}  # fmt: skip
NAMES = {
    "openke": ("entity2id.txt", "relation2id.txt", "train2id.txt"), "umls": ("MRCONSO.RRF", "MRREL.RRF"),
    "snomed": ("sct2_Description_Snapshot.txt", "sct2_Relationship_Snapshot.txt"), "wordnet": ("data.noun",),
    "rdf": ("g.ttl",), "nodes-edges": ("g.csv",),
}  # fmt: skip
pieces = st.sampled_from(
    ["a", "1", "0", "\t", ",", "|", ":", '"', "\n", "\n", "[Term]\n", "id: A:1\n", "is_a: A:2\n", "/c/en/a",
    "/r/IsA", "{", "}", "[", "]",
     "<http://a/b>", " .\n", '{"type": "item", "id": "Q2"}', "|" * 17, "\u00fc",
     "id\tactive\ttypeId\tterm\tconceptId\tlanguageCode\n"]
).map(str.encode) | st.binary(max_size=6)  # fmt: skip


@pytest.mark.parametrize(
    "name", [name for name, format in FORMATS.items() if not format.package and name != "graphml"]
)
@given(data=st.lists(pieces, max_size=25).map(b"".join))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_every_format_of_any_bytes_terminates(
    read: Read, tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    names = NAMES.get(name, ("g.txt",))
    for file in names:
        (folder / file).write_bytes(HEADS.get(name, b"") + data)
    is_folder = len(names) > 1 or name in ("umls", "wordnet")
    try:
        read(folder if is_folder else folder / names[0], format=name)
    except ValueError as error:
        assert str(folder) in str(error)  # noqa: PT017

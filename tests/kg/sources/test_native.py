"""A user's own graph: every kind of mistake is counted and located, and the rest is read."""

from __future__ import annotations

import bz2
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.problems import Problems
from kg.schema import Entity
from kg.sources.native import find_files, read_native
from kg.sources.reading import Choices
from kg.store import Graph
from kg.writer import GraphWriter


def read(path: Path, out: Path, problems: Problems | None = None) -> Graph:
    writer = GraphWriter(out)
    read_native(
        path, writer, problems if problems is not None else Problems(strict=True), lambda _: None, Choices()
    )
    return writer.finish()


def test_native_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("Q64\tP17\tQ183\nQ183\tP36\tQ64\n")
    (tmp_path / "test.tsv").write_text("Q64\tP17\tQ64\n")
    rich = {
        "id": "Q64",
        "label": "Berlin",
        "aliases": ["柏林"],
        "description": "city",
        "types": ["city"],
        "prior": 3,
    }
    lines = [json.dumps(rich), '{"id": "Q183"}', '{"id": "Q1", "label": null, "aliases": null}']
    (tmp_path / "entities.jsonl").write_text("\n".join(lines) + "\n\n")
    (tmp_path / "relations.tsv").write_text("P17\tcountry\nP36\tcapital\n")
    graph = read(tmp_path, tmp_path / "out")
    assert graph.entity(0) == Entity("Q64", "Berlin", ("柏林",), "city", ("city",), 3.0)
    assert graph.entity(1) == Entity("Q183", "Q183")
    assert len(graph) == 3
    assert graph.relation(1).label == "capital"
    assert graph.triples("train").tolist() == [[0, 0, 1], [1, 1, 0]]
    assert graph.triples("test").tolist() == [[0, 0, 0]]


@pytest.mark.parametrize(
    "start", ["", "head\trelation\ttail\n", "\ufeff", "\ufeffSubject\tPredicate\tObject\n"]
)
def test_native_file_of_triples_is_read(tmp_path: Path, start: str) -> None:
    file = tmp_path / "mine.tsv"
    file.write_bytes((start + "a b\tlikes\tc\r\nc\tlikes\ta b\r\n").encode())
    graph = read(file, tmp_path / "out")
    assert list(graph.labels) == ["a b", "c"]
    assert graph.relations[0].id == "likes"
    assert len(graph.triples()) == 2


def test_bad_lines_are_counted_and_located(tmp_path: Path) -> None:
    (tmp_path / "triples.tsv").write_bytes(
        b"a\tr\tb\na\tr\nb\tr\tc\td\n\xff\xfe\tr\tb\na\t\tb\n\nx\tr\tb\na\tnew\tb\nb\tr\ta\n"
    )
    bad = ["not json", "[1]", '{"label": "no id"}', '{"id": "b", "aliases": "x"}', '{"id": "b", "prior": -1}']
    bad += ['{"id": "a"}', '{"id": "b", "prior": NaN}', '{"id": "b\\n"}', '{"id": "b", "label": 3}']
    bad += [
        '{"id": "\\ud800"}',
        '{"id": "b", "aliases": ["\\udfff"]}',
        "[" * 100_000,
        '{"id": "b", "prior": true}',
    ]
    bad += [f'{{"id": "b", "prior": {"9" * 400}}}']
    (tmp_path / "entities.jsonl").write_text("\n".join(['{"id": "a"}', *bad, '{"id": "b"}']))
    (tmp_path / "relations.tsv").write_text("r\tlabel\nonly\n")
    problems = Problems(keep=100)
    graph = read(tmp_path, tmp_path / "out", problems)
    found = [(problem.file, problem.line) for problem in problems.first]
    assert found == [
        *[("entities.jsonl", line) for line in range(2, 16)],
        ("relations.tsv", 2),
        *[("triples.tsv", line) for line in (2, 3, 4, 5, 7, 8)],
    ]
    messages = {(problem.file, problem.line): problem.message for problem in problems.first}
    assert messages["triples.tsv", 2] == (
        "expected 3 columns separated by tabs (head, relation, tail), found 2: 'a\\tr'"
    )
    assert messages["triples.tsv", 4] == "not UTF-8 (byte 1)"
    assert messages["triples.tsv", 5] == "the relation is empty"
    assert messages["triples.tsv", 7] == "'x' is not in entities.jsonl: kept, with its id as label"
    assert messages["triples.tsv", 8] == "'new' is not in relations.tsv: kept, with its id as label"
    assert messages["entities.jsonl", 7] == "duplicate entity 'a'"
    assert (
        messages["entities.jsonl", 11] == r"'\ud800' is not valid text: '\ud800' is half of a surrogate pair"
    )
    assert list(graph.ids) == list(graph.labels) == ["a", "b", "x"]
    assert len(graph.descriptions) == 3
    assert graph.describe()["triples"] == 4


def test_strict_refuses_the_first_bad_line(tmp_path: Path) -> None:
    file = tmp_path / "triples.tsv"
    file.write_text("a\tr\tb\na r b\n")
    with pytest.raises(ValueError, match=r"triples\.tsv:2: expected 3 columns"):
        read(file, tmp_path / "out", Problems(strict=True))


def test_missing_triples_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a file of triples, or a folder with train\.tsv"):
        find_files(tmp_path)
    (tmp_path / "graph.json").touch()
    with pytest.raises(ValueError, match="is a stored graph, not a source"):
        find_files(tmp_path)


def test_a_folder_of_packed_files(tmp_path: Path) -> None:
    (tmp_path / "train.tsv.gz").write_bytes(gzip.compress(b"a\tr\tb\n"))
    (tmp_path / "test.tsv.bz2").write_bytes(bz2.compress(b"b\tr\ta\n"))
    (tmp_path / "entities.jsonl.gz").write_bytes(gzip.compress(b'{"id": "a", "label": "A"}\n{"id": "b"}\n'))
    graph = read(tmp_path, tmp_path / "out", Problems(strict=True))
    assert graph.splits == ["train", "test"]
    assert list(graph.labels) == ["A", "b"]


@given(st.binary(max_size=200) | st.text("ab\t\n\r", max_size=60).map(str.encode))
@settings(max_examples=60, deadline=None)
def test_every_line_is_read_or_reported(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "triples.tsv").write_bytes(b"a\tr\tb\n" + data)
    problems = Problems()
    writer = GraphWriter(folder / "out")
    read_native(folder, writer, problems, lambda _: None, Choices())
    lines = sum(bool(line.strip()) for line in data.split(b"\n"))
    assert len(writer.triples("train")) - 1 + problems.count == lines


texts = st.text() | st.just("\ud800")
"""Any text, and what JSON can hold that is none."""


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["id", "label", "aliases", "types", "prior"]),
            st.none() | st.integers() | texts | st.lists(texts),
        )
    )
)
@settings(max_examples=60, deadline=None)
def test_every_entity_is_read_or_reported(
    tmp_path_factory: pytest.TempPathFactory, given: list[dict[str, object]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "triples.tsv").write_text("first\tr\tfirst\n")
    (folder / "entities.jsonl").write_text("\n".join(map(json.dumps, [{"id": "first"}, *given])))
    problems = Problems()
    graph = read(folder, folder / "out", problems)
    assert len(graph) - 1 + problems.count == len(given)
    assert len(graph.labels) == len(graph) == len({graph.entity(row).id for row in range(len(graph))})


FACTS = [("a", "r", "b"), ("b", "s", "c"), ("b", "r", "a"), ("d", "r", "a")]


@pytest.mark.parametrize("size", [1, 7, 8, 20, 1000])
@pytest.mark.parametrize("bad", ["", "b\tr\n", "\n \t \t \n", "b\t \ta\n"])
def test_block_boundaries_do_not_change_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, bad: str
) -> None:
    """Whole blocks of triples are split at once and others sifted: the graph, and where lines are bad, is the same."""
    lines = ["\t".join(fact) + "\n" for fact in FACTS]
    (tmp_path / "triples.tsv").write_text("".join([*lines[:2], bad, *lines[2:]]))
    (tmp_path / "entities.jsonl").write_text('{"id": "a"}\n{"id": "b"}\n')
    monkeypatch.setattr("kg.sources.native._BLOCK", size)
    problems = Problems()
    graph = read(tmp_path, tmp_path / "out", problems)
    assert list(graph.ids) == ["a", "b", "c", "d"]
    ids = graph.ids
    assert {(ids[h], graph.relation(r).id, ids[t]) for h, r, t in graph.triples().tolist()} == set(FACTS)
    shift = bad.count("\n")
    expected = [(2, "'c' is not"), (4 + shift, "'d' is not")]
    if bad.strip():
        expected.insert(1, (3, "the relation is empty" if "\t " in bad else "expected 3 columns"))
    assert [
        (problem.line, problem.message[: len(text)])
        for problem, (_, text) in zip(problems.first, expected, strict=True)
    ] == expected


def test_truncated_packed_triples_are_reported(tmp_path: Path) -> None:
    packed = gzip.compress("".join(f"e{n}\tr\te{n * 7919 % 5000}\n" for n in range(5000)).encode())
    file = tmp_path / "mine.tsv.gz"
    file.write_bytes(packed)
    whole = read(file, tmp_path / "whole")
    file.write_bytes(packed[:-2000])
    problems = Problems()
    part = read(file, tmp_path / "part", problems)
    assert whole.describe()["triples"] == 5000
    assert 1000 < part.describe()["triples"] == problems.first[0].line - 1 < 5000
    assert "damaged from here on" in problems.first[0].message


def test_unknown_keys_are_counted(tmp_path: Path) -> None:
    (tmp_path / "triples.tsv").write_text("a\tr\tb\n")
    lines = ['{"id": "a", "lable": "A", "url": 1}', '{"id": "b", "lable": "B"}', '{"id": "c", "label": "C"}']
    lines += [json.dumps({"id": f"e{n}", f"key{n}": 1}) for n in range(100)]
    (tmp_path / "entities.jsonl").write_text("\n".join(lines))
    account = read_native(tmp_path, GraphWriter(tmp_path / "out"), Problems(), lambda _: None, Choices())
    left_out = account.left_out
    assert left_out["values under the key 'lable' of entities.jsonl"] == 2
    assert left_out["values under the key 'url' of entities.jsonl"] == 1
    assert len(left_out) == 20
    assert account.taken_by("names") == {"label": 1}
    assert account.taken_by("entities") == {"entities.jsonl": 103}


def test_known_keys_are_counted(tmp_path: Path) -> None:
    (tmp_path / "triples.tsv").write_text("a\tr\tb\n")
    (tmp_path / "relations.tsv").write_text("r\tis near\n")
    told = {
        "label": "A",
        "aliases": ["a1", "a2"],
        "description": "d",
        "types": ["t"],
        "prior": 2,
        "xrefs": ["x:1"],
    }
    (tmp_path / "entities.jsonl").write_text(
        f'{json.dumps({"id": "a", **told})}\n{{"id": "b", "aliases": []}}\n'
    )
    account = read_native(tmp_path, GraphWriter(tmp_path / "out"), Problems(), lambda _: None, Choices())
    assert list(account.lines()) == [
        "taken: aliases: 2 (aliases 2)", "taken: descriptions: 1 (description 1)",
        "taken: entities: 2 (entities.jsonl 2)", "taken: facts: 1 (triples.tsv 1)",
        "taken: further ids: 1 (xrefs 1)", "taken: names: 1 (label 1)",
        "taken: priors: 1 (prior 1)", "taken: relations: 1 (relations.tsv 1)", "taken: types: 1 (types 1)",
    ]  # fmt: skip

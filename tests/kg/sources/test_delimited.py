"""Tables with a header: selected columns, labels, quoting, and invalid lines."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.schema import Relation
from kg.sources.reading import Choices
from tests.support.sources import Read


def test_csv_takes_the_first_three_columns(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_text('from,how,to,note\n"a, b",r,"c ""d"""," x"\n\na,r,c,\n', encoding="utf-8-sig")
    assert read(file).facts() == {("a, b", "r", 'c "d"'), ("a", "r", "c")}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_columns_are_selected_by_name_with_labels(read: Read, tmp_path: Path, delimiter: str) -> None:
    rows = [
        ["value", "valueLabel", "item", "item_label", "property", "year"],
        ["Q183", "Germany", "Q64", "Berlin", "P17", "1990"],
    ]
    file = tmp_path / "g.csv"
    file.write_bytes(gzip.compress("\r\n".join(delimiter.join(row) for row in rows).encode()))
    found = read(file, Choices(columns=("item", "property", "value")))
    assert found.facts() == {("Q64", "P17", "Q183")}
    assert list(found.graph.labels) == ["Berlin", "Germany"]
    assert found.graph.relations == [Relation("P17", "P17")]


def test_csv_label_columns_are_not_triple_columns(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "query.csv"
    file.write_text("item,itemLabel,prop,propLabel,value,valueLabel\nQ64,Berlin,P17,country,Q183,Germany\n")
    found = read(file)
    assert found.facts() == {("Q64", "P17", "Q183")}
    assert list(found.graph.labels) == ["Berlin", "Germany"]
    assert found.graph.relations == [Relation("P17", "country")]


def test_csv_without_a_header_is_reported(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_text("\na,r,b\nc,r,d\n")
    found = read(file)
    assert found.facts() == {("c", "r", "d")}
    assert found.left_out == {"the first line, used as the header although 'r' is a relation below": 1}
    assert not read(file, Choices(columns=("a", "r", "b"))).left_out


def test_csv_ids_have_no_line_breaks(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_bytes(b'h,r,t\r\n"a \r\n b","r\n",c\r\n')
    assert read(file).facts() == {("a b", "r", "c")}


def test_csv_bad_rows_are_located(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_bytes(b'h,r,t\na,b\na,,c\n"a"x,b,c\n\xff,b,c\na,b,c\na,b,"c')
    found = read(file)
    assert found.facts() == {("a", "b", "c")}
    assert found.problems == [
        "g.csv:2: expected 3 columns, found 2: ['a', 'b']",
        "g.csv:3: the column 'r' is empty",
        "g.csv:4: not CSV (',' expected after '\"')",
        "g.csv:5: not UTF-8",
        "g.csv:7: not CSV (unexpected end of data)",
    ]


def test_csv_unclosed_quote_skips_only_its_line(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_text('h,r,t\na,r,"b\nc,r,d\ne,r,"f\ng"\ni,r,"j\nk,r,l\n')
    found = read(file)
    assert found.facts() == {("c", "r", "d"), ("e", "r", "f g"), ("k", "r", "l")}
    assert [problem.split(" (")[0] for problem in found.problems] == ["g.csv:2: not CSV", "g.csv:6: not CSV"]


def test_csv_columns_with_equal_names_are_read_as_triples(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_text("name,name,name\na,r,b\n")
    assert read(file).facts() == {("a", "r", "b")}


def test_csv_missing_columns_are_named(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.csv"
    file.write_text("a,b,c\n")
    with pytest.raises(ValueError, match=r"g\.csv:1: no column 'head'; the header has a, b, c"):
        read(file, Choices(columns=("head", "b", "c")))
    file.write_text("a,b\n")
    with pytest.raises(ValueError, match=r"g\.csv:1: expected a header of at least 3 columns"):
        read(file)
    file.write_text("")
    with pytest.raises(ValueError, match="expected a header"):
        read(file)


fields = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(str.strip)


@given(st.lists(st.tuples(fields, fields, fields), max_size=15))
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_csv_round_trips(
    read: Read, tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, str, str]]
) -> None:
    file = tmp_path_factory.mktemp("csv") / "g.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("h", "r", "t"), *facts])
    found = read(file)
    assert not found.problems
    assert found.facts() == {(h.strip(), r.strip(), t.strip()) for h, r, t in facts}


@given(st.binary(max_size=200))
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_csv_of_any_bytes_is_read_or_reported(
    read: Read, tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("csv") / "g.csv"
    file.write_bytes(b"h,r,t\n" + data)
    found = read(file)
    assert len(found.facts()) + len(found.problems) <= data.count(b"\n") + data.count(b"\r") + 1

"""K-BERT's format: strings are the entities; every bad line is reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.sources import Read

words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


def test_spo_is_read_and_bad_lines_are_located(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.spo"
    lines = [
        "库克\tCEO\t苹果",
        "only two\tcolumns",
        "",
        "北京\t首都\t中国\r",
        "a\t\tb",
        "a\tb\tc\td",
        "库克\tCEO\t苹果",
    ]
    file.write_bytes("\n".join(lines).encode() + b"\n\xff\tb\tc\n")
    found = read(file)
    assert found.facts() == {("库克", "CEO", "苹果"), ("北京", "首都", "中国")}
    assert found.problems == [
        "g.spo:2: expected subject, predicate and object separated by tabs, found 2 columns: 'only two\\tcolumns'",
        "g.spo:5: the predicate is empty",
        "g.spo:6: expected subject, predicate and object separated by tabs, found 4 columns: 'a\\tb\\tc\\td'",
        "g.spo:8: not UTF-8 (byte 1)",
    ]
    assert found.bytes_reported == file.stat().st_size


def test_spo_strict_stops_at_the_bad_line(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.spo"
    file.write_text("a\tb\tc\nbroken\n")
    with pytest.raises(ValueError, match=r"g\.spo:2: expected subject"):
        read(file, strict=True)


@given(st.lists(st.tuples(words, words, words), max_size=20))
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_spo_round_trips(
    read: Read, tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, str, str]]
) -> None:
    file = tmp_path_factory.mktemp("spo") / "g.spo"
    file.write_text("".join("\t".join(fact) + "\n" for fact in facts), encoding="utf-8", newline="\n")
    found = read(file)
    # A byte-order mark at the start of a file belongs to no name.
    expected = {(h.removeprefix("\ufeff") if i == 0 else h, r, t) for i, (h, r, t) in enumerate(facts)}
    if all(name for fact in expected for name in fact):
        assert found.facts() == expected
        assert not found.problems


@given(st.binary(max_size=300))
@settings(
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_spo_of_any_bytes_is_triples_or_problems(
    read: Read, tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.mktemp("spo") / "g.spo"
    file.write_bytes(data)
    if data[:2] == b"\x1f\x8b" or data[:3] == b"BZh":
        return
    found = read(file)
    lines = [line for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n") if line.strip()]
    assert len(found.problems) + len(found.facts()) <= len(lines)
    assert bool(lines) == bool(found.problems or found.facts())


@pytest.mark.data
@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
@pytest.mark.parametrize(("name", "triples"), [("HowNet", 52_576), ("Medical", 13_864)])
def test_published_spo_graphs_are_read(read: Read, name: str, triples: int) -> None:
    found = read(Path(os.environ["KEPIPE_DATA"]) / "kg" / "zh" / f"{name}.spo")
    assert found.graph.describe()["triples"] == triples
    assert found.graph.describe()["relations"] == 1
    assert not found.problems

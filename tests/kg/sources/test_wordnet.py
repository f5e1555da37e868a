"""WordNet: a small database in the true format by hand; the published one where WORDNET_HOME names it."""

from __future__ import annotations

import gzip
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.schema import Entity, Relation
from kg.sources.wordnet import RELATIONS, parse_synset
from tests.support.sources import Read

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by\n"
NOUNS = [
    "00001740 03 n 01 entity 0 001 ~ 02084071 n 0000 | that which is perceived",
    '02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 0 002 @ 00001740 n 0000 + 00000003 v 0101 | "a dog"',
]
ADJECTIVES = [
    "00000001 00 s 02 ready(p) 0 prepared 1 001 ! 00000002 a 0101 | set",
    "00000002 00 a 01 unready 0 000 | not",
]
VERBS = ["00000003 38 v 01 tag_along 0 000 02 + 01 00 + 04 00 | go with; has frames"]
SENSES = "dog%1:05:00:: 02084071 1 42\ndomestic_dog%1:05:00:: 02084071 1 3\nready%5:00:00:set:00 00000001 1 7\nbroken\n"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    for name, lines in (("noun", NOUNS), ("adj", ADJECTIVES), ("verb", VERBS)):
        (tmp_path / f"data.{name}").write_text(LICENCE + "".join(f"{line}  \n" for line in lines))
    (tmp_path / "index.sense").write_text(SENSES)
    return tmp_path


def test_wordnet_database_is_read(read: Read, database: Path) -> None:
    found = read(database)
    graph = found.graph
    assert graph.entity(graph.row("02084071-n")) == Entity(
        "02084071-n", "dog", ("domestic dog", "Canis familiaris"), '"a dog"', ("noun", "noun.animal"), 45.0
    )  # fmt: skip
    ready = graph.entity(graph.row("00000001-a"))  # satellites are adjectives
    assert (ready.label, ready.aliases, ready.prior) == ("ready", ("prepared",), 7.0)
    assert found.facts() == {
        ("00001740-n", "hyponym", "02084071-n"),
        ("02084071-n", "hypernym", "00001740-n"),
        ("02084071-n", "derivationally_related_form", "00000003-v"),
        ("00000001-a", "antonym", "00000002-a"),
    }
    assert Relation("derivationally_related_form", "derivationally related form") in graph.relations
    assert found.problems == ["index.sense:4: expected a sense key, an offset, a sense number and a count"]


def test_packed_wordnet_files_are_read(read: Read, database: Path) -> None:
    whole = read(database)
    for file in [*database.iterdir()]:
        (database / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    packed = read(database)
    assert packed.graph.digest == whole.graph.digest
    assert len(packed.problems) == len(whole.problems) == 1
    assert len(read(database / "data.noun.gz").facts()) == 2


def test_wordnet_pointers_into_other_files_are_counted(read: Read, database: Path) -> None:
    found = read(database / "data.noun")
    assert found.left_out == {"pointers into a file that was not read": 1}
    assert len(found.facts()) == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0174 03 n 01 x 0 000 | short offset", "not a synset"),
        ("00001741 03 q 01 x 0 000 | no such part of speech", "not a synset"),
        ("00001741 99 n 01 x 0 000 | no such file", "not a synset"),
        ("00001741 03 n zz x 0 000 | words", "not a synset"),
        ("00001741 03 n 01 x 0 002 @ 00001740 n 0000 | one pointer of two", "not a synset"),
        ("00001741 03 n 01 x 0 001 @ 00001740 q 0000 | pointer to no part", "not a synset"),
        ("00001741 03 n 00 000 | words", "has no words"),
        ("00001741 03 n 01 x 0 000", "has no gloss"),
        ("00001740 03 n 01 again 0 000 | x", "duplicate entity '00001740-n'"),
        ("00001741 03 n 01 x 0 001 ?? 00001740 n 0000 | x", "unknown pointer '??'"),
        ("00001741 03 n 01 x 0 001 @ 00001749 n 0000 | x", "points to 00001749-n, which is no synset"),
    ],
)
def test_bad_lines_are_located(read: Read, tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "data.noun").write_text(f"{LICENCE}{NOUNS[0]}\n{line}\n{NOUNS[1]}\n")
    found = read(tmp_path)
    assert len(found.problems) == 1
    assert found.problems[0].startswith("data.noun:3: ")
    assert message in found.problems[0]
    assert {"00001740-n", "02084071-n"} <= set(found.graph.ids)


words = st.from_regex(r"[a-zA-Z'\-]{1,8}(_[a-z]{1,6})?", fullmatch=True)
pointers = st.tuples(st.sampled_from(sorted(RELATIONS)), st.integers(0, 99_999_999), st.sampled_from("nvar"))


@given(st.lists(words, min_size=1, max_size=40, unique=True), st.lists(pointers, max_size=12))
def test_wordnet_synset_round_trips(names: list[str], links: list[tuple[str, int, str]]) -> None:
    written = " ".join(f"{name} 0" for name in names)
    tied = "".join(f"{symbol} {offset:08d} {part} 0000 " for symbol, offset, part in links)
    entity, targets = parse_synset(
        f"00000009 03 n {len(names):02x} {written} {len(links):03d} {tied}| gloss", Counter()
    )
    assert [entity.label, *entity.aliases] == [name.replace("_", " ") for name in names]
    assert targets == [(symbol, f"{offset:08d}-{part}") for symbol, offset, part in links]


@given(st.text(max_size=120))
def test_any_text_is_a_synset_or_an_error(text: str) -> None:
    try:
        entity, _ = parse_synset(text, Counter())
    except ValueError as error:
        assert str(error)  # noqa: PT017 (either outcome is right)
    else:
        assert entity.label


@pytest.mark.data
@pytest.mark.skipif("WORDNET_HOME" not in os.environ, reason="WORDNET_HOME names no folder with data.noun")
def test_wordnet_3_0_is_read_completely(read: Read) -> None:
    found = read(Path(os.environ["WORDNET_HOME"]))
    counts = found.graph.describe()
    assert not found.problems
    assert counts["entities"] == 117_659  # wnstats(7WN)
    assert counts["relations"] == 26
    dog = found.graph.entity(found.graph.row("02084071-n"))
    assert dog.aliases == ("domestic dog", "Canis familiaris")
    assert ("02084071-n", "hypernym", "02083346-n") in found.facts()

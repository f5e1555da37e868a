"""Every format of gold sets is detected by its first bytes and yields texts with mentions; any bytes can be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.gold_formats.table import FORMATS, format_of
from kepipe.linking.evaluation.goldset import EntityIds, read_gold
from kg.problems import Problems

TEXT = "Ada Lind left Oslo."
AIDA = (
    "-DOCSTART- (1 ADA)\nAda\tB\tAda Lind\tAda_Lind\thttp://en.wikipedia.org/wiki/ada\t1\t/m/1\n"
    "Lind\tI\tAda Lind\tAda_Lind\thttp://en.wikipedia.org/wiki/ada\t1\t/m/1\nleft\nOslo\tB\tOslo\t--NME--\n.\n"
)
STUDIO = [
    {
        "id": 1,
        "data": {"text": TEXT},
        "annotations": [
            {"was_cancelled": True, "result": []},
            {
                "result": [
                    {"id": "r", "to_name": "text", "value": {"start": 0, "end": 8, "text": "Ada Lind",
                    "labels": ["PER"]}},
                    {"id": "r", "value": {"start": 0, "end": 8, "text": ["ada"]}},
                    {"id": "s", "value": {"start": 14, "end": 18, "labels": ["oslo"]}},
                ]
            },
        ],
    }
]  # fmt: skip
FILES = {
    "kepipe": json.dumps({"text": TEXT, "mentions": [{"start": 0, "end": 8, "entity": "ada", "type": "PER"},
                                                    {"start": 14, "end": 18, "entity": "oslo"}]}),
    "elevant": json.dumps({"text": TEXT, "evaluation_span": [0, 19], "labels": [
        {"id": 0, "span": [0, 8], "entity_id": "ada", "type": "PER"}, {"id": 1, "span": [14, 18], "entity_id": "oslo"},
        {"id": 2, "span": [9, 13], "entity_id": "x", "optional": True}]}),
    "doccano": json.dumps({"id": 1, "text": TEXT, "label": [[0, 8, "ada"], [14, 18, "oslo"]]}),
    "label-studio": json.dumps(STUDIO, indent=1),
    "pubtator": "7|t|Ada Lind left Oslo.\n7|a|Then.\n7\t0\t8\tAda Lind\tPER\tMESH:ada\n"
    "7\t14\t18\tOslo\tLOC\toslo\n7\tCID\tD1\tD2\n",
    "aida": AIDA,
}  # fmt: skip
IDS = EntityIds({"ada": 0, "oslo": 1}, {})


@pytest.mark.parametrize("name", FILES)
def test_mentions_of_each_format(tmp_path: Path, name: str) -> None:
    file = tmp_path / "gold"
    file.write_text(FILES[name] + "\n")
    assert format_of(file).name == name
    (text,) = read_gold(file, IDS)
    found = [(text.document.text[link.start : link.end], link.row) for link in text.links]
    oslo = -1 if name == "aida" else 1
    assert found == [("Ada Lind", 0), ("Oslo", oslo)]
    if name in ("kepipe", "elevant", "label-studio", "pubtator"):
        assert text.kinds[0] == "PER"


def test_blink_has_one_mention_per_text(tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    record = {
        "context_left": "Ada left",
        "mention": "Oslo",
        "context_right": ".",
        "label_title": "oslo",
        "label_id": 5,
    }
    file.write_text(json.dumps(record))
    assert format_of(file).name == "blink"
    (text,) = read_gold(file, IDS)
    assert (text.document.text, text.begin, text.end) == ("Ada left Oslo.", 9, 13)
    assert [link.row for link in text.links] == [1]


def test_brat_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT)
    (tmp_path / "a.ann").write_text(
        "T1\tPER 0 8\tAda Lind\nN1\tReference T1 Wikidata:ada\tAda\nT2\toslo 14 18\tOslo\nT3\tX 0 3;9 13\tAda left\n"
        "T4\tX 1 4\tAda\nR1\tRel Arg1:T1 Arg2:T2\n#1\tAnnotatorNotes T1\tsure\nE1\tGo:T1\n"
    )
    (tmp_path / "b.ann").write_text("")
    problems = Problems()
    (text,) = read_gold(tmp_path, IDS, problems)
    assert [(link.start, link.end, link.row) for link in text.links] == [(0, 8, 0), (14, 18, 1)]
    assert [str(problem).split(": ")[0] for problem in problems.first] == ["a.ann:4", "a.ann:5", "b.ann"]
    assert problems.account.left_out == {"relations": 1, "notes": 1, "events": 1}


def test_optional_mentions_and_relations_are_skipped_and_counted(tmp_path: Path) -> None:
    elevant, pubtator = tmp_path / "gold.jsonl", tmp_path / "gold.pubtator"
    labels = [{"span": [0, 8], "entity_id": "ada"}, {"span": [14, 18], "entity_id": "oslo", "optional": True}]
    elevant.write_text(json.dumps({"text": TEXT, "labels": labels}))
    pubtator.write_text("7|t|Ada Lind.\n7\t0\t8\tAda Lind\tPER\tada\n7\tCID\tada\toslo\n")
    for file, left in ((elevant, "optional marks"), (pubtator, "relations")):
        problems = Problems(strict=True)
        (text,) = read_gold(file, IDS, problems)
        assert len(text.links) == 1
        assert problems.account.left_out == {left: 1}


def test_mentions_that_do_not_match_the_text_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "gold.pubtator"
    file.write_text("7|t|Ada Lind.\n7\t1\t9\tAda Lind\tPER\tada\n8\t0\t3\tAda\tPER\tada\n7\tx\n")
    problems = Problems()
    read_gold(file, IDS, problems)
    assert [str(problem).split(": ")[0] for problem in problems.first] == [
        f"gold.pubtator:{n}" for n in (2, 3, 4)
    ]
    assert "should be 'Ada Lind', but the text there is 'da Lind.'" in str(problems.first[0])


pieces = st.sampled_from([*FILES.values(), *"\n\t|[]{}\":0B", "-DOCSTART-", '"labels": [{', '"label": [[', "7|t|"]).map(
    str.encode
) | st.binary(max_size=6)  # fmt: skip


@given(st.lists(pieces, max_size=8).map(b"".join))
@settings(max_examples=150)
def test_any_bytes_are_read_without_a_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("gold") / "gold"
    file.write_bytes(data)
    read_gold(file, IDS, Problems())


def test_no_two_formats_share_a_name() -> None:
    assert len({row.name for row in FORMATS}) == len(FORMATS)

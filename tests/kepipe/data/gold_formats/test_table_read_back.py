"""Mentions written in a format are read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.data.gold_formats.table import FORMATS, format_of
from kepipe.linking.evaluation.goldset import EntityIds, read_gold

MarkedOffsets = Sequence[tuple[int, int, str]]
IDS = EntityIds({"ada": 0, "oslo": 1}, {})


def write_lines(file: Path, *records: object) -> Path:
    file.write_text(
        "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8"
    )
    return file


def write_own(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    mentions = [{"start": start, "end": end, "entity": id} for start, end, id in marks]
    return write_lines(folder / "g.jsonl", {"text": text, "mentions": mentions})


def write_elevant(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    labels = [{"id": n, "span": [start, end], "entity_id": id} for n, (start, end, id) in enumerate(marks)]
    return write_lines(folder / "g.jsonl", {"text": text, "labels": labels})


def write_doccano(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    return write_lines(folder / "g.jsonl", {"text": text, "label": marks})


def write_blink(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    records = [
        {
            "context_left": text[:start],
            "mention": text[start:end],
            "context_right": text[end:],
            "label_title": id,
        }
        for start, end, id in marks
    ]
    return write_lines(folder / "g.jsonl", *records)


def write_label_studio(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    regions = [
        {"id": str(start), "value": {"start": start, "end": end, "text": text[start:end], "labels": [id]}}
        for start, end, id in marks
    ]
    return write_lines(folder / "g.json", [{"data": {"text": text}, "annotations": [{"result": regions}]}])


def write_brat(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    (folder / "a.txt").write_text(text, encoding="utf-8")
    lines = (f"T{n}\t{id} {start} {end}\t{text[start:end]}\n" for n, (start, end, id) in enumerate(marks))
    (folder / "a.ann").write_text("".join(lines), encoding="utf-8")
    return folder


def write_pubtator(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    title, _, abstract = text.partition("\n")
    lines = (f"7\t{start}\t{end}\t{text[start:end]}\tX\t{id}\n" for start, end, id in marks)
    (folder / "g.txt").write_text(f"7|t|{title}\n7|a|{abstract}\n{''.join(lines)}", encoding="utf-8")
    return folder / "g.txt"


def write_aida(folder: Path, text: str, marks: MarkedOffsets) -> Path:
    ids, lines, start = {start: id for start, _, id in marks}, ["-DOCSTART- (1 a)\n"], 0
    for sentence in text.split("\n"):
        for word in sentence.split(" "):
            id = ids.get(start)
            lines.append(f"{word}\tB\t{word}\t{id}\n" if id else f"{word}\n")
            start += len(word) + 1
        lines.append("\n")
    (folder / "g.tsv").write_text("".join(lines), encoding="utf-8")
    return folder / "g.tsv"


WRITERS: dict[str, Callable[[Path, str, MarkedOffsets], Path]] = {
    "kepipe": write_own, "elevant": write_elevant, "doccano": write_doccano, "blink": write_blink,
    "label-studio": write_label_studio, "brat": write_brat, "pubtator": write_pubtator, "aida": write_aida,
}  # fmt: skip

words = st.text(st.characters(categories=["L", "N", "So"]), min_size=1, max_size=5)


@st.composite
def marked_texts(draw: st.DrawFn) -> tuple[str, list[tuple[int, int, str]]]:
    """Two lines of words, some of which are mentions."""
    lines = [draw(st.lists(st.tuples(words, st.sampled_from(["", "ada", "oslo"])), min_size=1, max_size=5))
             for _ in range(2)]  # fmt: skip
    lines[0][0] = lines[0][0][0], "ada"
    text = "\n".join(" ".join(word for word, _ in line) for line in lines)
    marks, start = [], 0
    for word, id in [*lines[0], *lines[1]]:
        if id:
            marks.append((start, start + len(word), id))
        start += len(word) + 1
    return text, marks


def test_every_format_is_read_back() -> None:
    assert WRITERS.keys() == {row.name for row in FORMATS}


@pytest.mark.parametrize("name", WRITERS)
@given(marked=marked_texts())
@settings(max_examples=40, deadline=None)
def test_written_mentions_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, marked: tuple[str, list[tuple[int, int, str]]]
) -> None:
    text, marks = marked
    file = WRITERS[name](tmp_path_factory.mktemp("gold"), text, marks)
    assert format_of(file).name == name
    read = read_gold(file, IDS)
    links = [(link.start, link.end, link.row) for one in read for link in one.links]
    assert links == [(start, end, IDS.rows[id]) for start, end, id in marks]
    assert {one.document.text.rstrip() for one in read} == {text}

"""Readers of task data: every published layout; problems are reported by line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kepipe.finetuning.examples import Example
from kepipe.finetuning.splits import Data, read_splits
from kepipe.finetuning.table import TASKS, TaskName
from kg.problems import Problems


def read(task: TaskName, file: Path, text: str) -> tuple[list[Example], Problems]:
    file.write_text(text, encoding="utf-8")
    problems = Problems()
    return list(TASKS[task].read(file, problems)), problems


def lines(*records: Any) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def shown(example: Example) -> list[str]:
    return [example.text[span.start : span.end] for span in example.spans]


@pytest.mark.parametrize(
    "record",
    [
        {"text": "Bo met Al.", "head": {"start": 0, "end": 2}, "tail": {"start": 7, "end": 9}, "label": "met"},
        {"token": ["Bo", "met", "Al", "."], "h": {"pos": [0, 1]}, "t": {"pos": [2, 3]}, "relation": "met"},
        {"tokens": ["Bo", "met", "Al"], "h": ["bo", "Q1", [[0]]], "t": ["al", "Q2", [[2]]], "relation": "met"},
        {"token": ["Bo", "met", "Al"], "subj_start": 0, "subj_end": 0, "obj_start": 2, "obj_end": 2, "relation": "met"},
        {"text": "<e1>Bo</e1> met <e2>Al</e2>.", "relation": "met"},
    ],
)  # fmt: skip
def test_relations_of_every_layout_are_read(tmp_path: Path, record: Any) -> None:
    (example,), problems = read("relations", tmp_path / "d.jsonl", lines(record))
    assert not problems
    assert shown(example) == ["Bo", "Al"]
    assert example.labels == ("met",)


def test_relations_keep_their_entity_ids(tmp_path: Path) -> None:
    record = {
        "token": ["Al", "met", "Bo"], "h": {"id": "Q2", "pos": [2, 3]}, "t": {"id": "Q1", "pos": [0, 1]},
        "relation": "met",
    }  # fmt: skip
    (example,), _ = read("relations", tmp_path / "d.jsonl", lines(record))
    assert [(m.entity, example.text[m.start : m.end]) for m in example.mentions] == [
        ("Q1", "Al"),
        ("Q2", "Bo"),
    ]
    assert shown(example) == ["Bo", "Al"]


@pytest.mark.parametrize(
    "record",
    [
        {"text": "In Oslo it rains", "start": 3, "end": 7, "types": ["place", "city"]},
        {"sent": "In Oslo it rains", "start": 3, "end": 7, "labels": ["city", "place"], "ents": [["Q585", 3, 7, 0.9]]},
        {
            "left_context_token": ["In"], "mention_span": "Oslo", "right_context_token": ["it", "rains"],
            "y_str": ["city", "place"],
        },
        {"tokens": ["In", "Oslo", "it", "rains"], "mentions": [{"start": 1, "end": 2, "labels": ["city", "place"]}]},
    ],
)  # fmt: skip
def test_typing_data_of_every_layout_is_read(tmp_path: Path, record: Any) -> None:
    for name, text in (("d.jsonl", lines(record)), ("d.json", json.dumps([record]))):
        (example,), problems = read("typing", tmp_path / name, text)
        assert not problems
        assert (example.text, shown(example), example.labels) == (
            "In Oslo it rains",
            ["Oslo"],
            ("city", "place"),
        )


def test_table_columns_may_be_in_any_order(tmp_path: Path) -> None:
    (example,), _ = read("ranking", tmp_path / "d.tsv", "text_b\tqid\ttext_a\tlabel\nja\t7\twer?\t1\n")
    assert (example.text, example.second, example.group, example.labels) == ("wer?", "ja", "7", ("1",))


def test_tagging_data_of_characters_and_conll_is_read(tmp_path: Path) -> None:
    (zh,), _ = read("tagging", tmp_path / "d.tsv", "text_a\tlabel\n左 膝 痛\tB-Body I-Body O\n")
    assert (zh.text, shown(zh)) == ("左膝痛", ["左", "膝", "痛"])
    conll = "-DOCSTART- -X- O\n\nJohn NNP B-PER\nsleeps VBZ O\n\nHe PRP O\n"
    found, problems = read("tagging", tmp_path / "d.txt", conll)
    assert not problems
    assert [(e.text, e.labels) for e in found] == [("John sleeps", ("B-PER", "O")), ("He", ("O",))]


@pytest.mark.parametrize(
    ("task", "name", "text", "line", "message"),
    [
        ("relations", "d.jsonl", lines({"text": "no marks", "label": "x"}), 1, "expected `<e1>"),
        ("relations", "d.jsonl", "\n{not json\n", 2, "not JSON"),
        ("relations", "d.jsonl", lines({"relation": "x", "token": ["a"], "h": {"pos": [0, 9]}}), 1, "words 0 to 9"),
        ("relations", "d.jsonl", lines([1, 2]).replace("[", " 3 #["), 1, "not JSON"),
        ("typing", "d.jsonl", lines({"text": "abc", "start": 2, "end": 9, "types": ["t"]}), 1, "characters 2 to 9"),
        ("typing", "d.jsonl", lines({"text": "abc", "start": 0, "end": 1, "types": []}), 1, "at least one type"),
        ("typing", "d.jsonl", lines({"text": "abc", "start": 0, "end": 1}), 1, "`types` is missing"),
        ("classification", "d.tsv", "label\ttext_a\n1\tgood\n0\tbad\textra\n", 3, "expected 2 cells"),
        ("classification", "d.tsv", "label\ttext_a\n1\t \n", 2, "`text` is empty"),
        ("pairs", "d.tsv", "label\ttext_a\ttext_b\n1\tgood\n", 2, "expected 3 cells"),
        ("tagging", "d.tsv", "text_a\tlabel\na b\tO\n", 2, "2 words and 1 labels"),
        ("tagging", "d.tsv", "text_a\tlabel\na b\tO PER\n", 2, "label 'PER'"),
        ("tagging", "d.txt", "John B-PER\nsleeps\n", 2, "expected a word and its label"),
    ],
)  # fmt: skip
def test_bad_line_is_reported_by_number(
    tmp_path: Path, task: TaskName, name: str, text: str, line: int, message: str
) -> None:
    found, problems = read(task, tmp_path / name, text)
    assert problems.count == 1
    assert problems.first[0].line == line
    assert message in problems.first[0].message
    assert all(example.text != "abc" for example in found)
    with pytest.raises(ValueError, match=f"{name}:{line}: "):
        list(TASKS[task].read(tmp_path / name, Problems(strict=True)))


def test_header_without_a_column_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"d\.tsv:1: the header lacks `text_b`"):
        read("pairs", tmp_path / "d.tsv", "label\ttext_a\n1\tgood\n")


def test_splits_are_disjoint_and_smaller_samples_are_subsets(tmp_path: Path) -> None:
    file = tmp_path / "train.tsv"
    file.write_text("label\ttext_a\n" + "".join(f"{n % 2}\ttext number {n}\n" for n in range(200)))
    read_task = TASKS["classification"].read
    drawn = {
        most: read_splits(Data(train=file, dev_share=0.2, max_train=most), read_task, 5, Problems())
        for most in (10, 50, None)
    }
    ids = {most: {split: {e.id for e in es} for split, es in found.items()} for most, found in drawn.items()}
    assert ids[10]["dev"] == ids[50]["dev"] == ids[None]["dev"]
    assert not ids[None]["dev"] & ids[None]["train"]
    assert len(ids[None]["dev"] | ids[None]["train"]) == 200
    assert ids[10]["train"] < ids[50]["train"] < ids[None]["train"]
    assert len(ids[10]["train"]) == 10


def test_dev_and_test_limits_are_equal_for_every_seed_and_keep_groups(
    tmp_path: Path,
) -> None:
    file = tmp_path / "all.tsv"
    file.write_text("label\ttext_a\n" + "".join(f"{n % 2}\ttext number {n}\n" for n in range(60)))

    def ids(task: TaskName, seed: int, **most: int) -> dict[str, list[str]]:
        data = Data(train=file, dev=file, test=file, **most)
        found = read_splits(data, TASKS[task].read, seed, Problems())
        return {split: [example.text for example in examples] for split, examples in found.items()}

    whole = ids("classification", 1)
    assert [len(whole[split]) for split in ("train", "dev", "test")] == [60, 60, 60]
    cut = ids("classification", 1, max_dev=10, max_test=25)
    assert [len(cut[split]) for split in ("train", "dev", "test")] == [60, 10, 25]
    assert cut == ids("classification", 2, max_dev=10, max_test=25)
    assert cut["dev"] == [text for text in whole["dev"] if text in cut["dev"]]  # in their order
    assert set(cut["dev"]) < set(ids("classification", 1, max_dev=20)["dev"])
    file.write_text("qid\tlabel\ttext_a\ttext_b\n" + "".join(
        f"q{n // 3}\t{int(n % 3 == 0)}\tquestion {n // 3}\tanswer {n}\n" for n in range(60)))  # fmt: skip
    asked = [text.partition("\n")[0] for text in ids("ranking", 1, max_dev=10)["dev"]]
    assert len(asked) == 9  # three questions of three answers
    assert len(set(asked)) <= 9

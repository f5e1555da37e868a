"""Half of a surrogate pair in the JSON of users costs its record, and no other, in every format that is JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kepipe.cli.predict_files import read_texts
from kepipe.data.corpus_files import write_report
from kepipe.data.document_files import read_documents
from kepipe.data.gold_formats.json_lines import read_blink, read_doccano, read_elevant, read_own
from kepipe.data.gold_formats.label_studio import read_label_studio
from kepipe.data.paired_rows import read_groups
from kepipe.data.user_json import parse_record, require_whole_characters, valid_records
from kepipe.data.user_rows import labels_of
from kepipe.finetuning.question_answering import read as read_questions
from kepipe.finetuning.table import TASKS
from kepipe.inference.similarity import read_similar
from kepipe.linking.evaluation.goldset import EntityIds
from kg.problems import Problems
from kg.regular_files import JsonError
from tests.support.texts import write_and_read

HALF = "\ud83d"
REASON = "half of a surrogate pair"


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"id": HALF}, "`id`"),
        ({"mentions": [{"entity": "Q1"}, {"entity": f"Q{HALF}"}]}, "`mentions[1].entity`"),
        ({HALF: 1}, "'\\ud83d'"),
        ({HALF: HALF}, "'\\ud83d'"),
        ({"a": {HALF: [HALF]}}, "`a`: '\\ud83d'"),
        ({"a": HALF, "b": HALF}, "`a`"),
        ([HALF, HALF], "`[0]`"),
        ([1, [HALF]], "`[1][0]`"),
        (HALF, "'\\ud83d'"),
        ("\ude00\ud83d", "'\\ude00\\ud83d'"),
    ],
)
def test_half_of_a_surrogate_pair_is_an_error_with_its_key(record: Any, place: str) -> None:
    for check in (lambda: parse_record(json.dumps(record)), lambda: require_whole_characters(record)):
        with pytest.raises(JsonError, match=REASON) as error:
            check()
        assert str(error.value).startswith(place)
        str(error.value).encode()  # can be written to any file and screen


@pytest.mark.parametrize("text", ["\U0001f600", "\\ud83d", "\ud7ff\ue000", ""])
def test_whole_characters_are_read(text: str) -> None:
    record = {"id": text, text: [text, 1, None, {"a": text}]}
    assert parse_record(json.dumps(record)) == record
    assert parse_record(json.dumps(record, ensure_ascii=False)) == record
    require_whole_characters(record)


Place = Callable[[str], dict[str, Any]]
"""A record of a format with this string in it."""
DOCUMENT: dict[str, Place] = {
    "id": lambda string: {"text": "Io is a moon.", "id": string},
    "title": lambda string: {"text": "Io is a moon.", "title": string},
    "text": lambda string: {"text": f"Io {string}"},
    "turns": lambda string: {"turns": ["Hi.", string]},
    "entity": lambda string: {"text": "Io", "mentions": [{"start": 0, "end": 2, "entity": string}]},
    "gold": lambda string: {"text": "Io", "gold": [{"start": 0, "end": 2, "entity": string}]},
    "another key": lambda string: {"text": "Io", string: 1},
}


@pytest.mark.parametrize("place", DOCUMENT)
def test_document_with_half_of_a_pair_is_skipped_and_counted(tmp_path: Path, place: str) -> None:
    records = [DOCUMENT[place](string) for string in ("first", HALF, "third")]
    lines = "\n".join(map(json.dumps, records))
    for name, content in (("a.jsonl", lines), ("b.json", json.dumps(records)), ("c.json", lines)):
        found = write_and_read(tmp_path, name, content)
        assert len(found.documents) == 2, name
        (problem,) = found.problems
        assert problem.startswith(f"{name}:2: ")
        assert REASON in problem
    problems = Problems()
    assert len(list(read_documents(tmp_path / "a.jsonl", problems))) == 2
    assert str(problems.first[0]).startswith("a.jsonl:2: ")


def test_half_of_a_pair_as_key_and_value_can_be_told_in_the_report_of_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": "Io", HALF: {HALF: HALF}}))
    problems = Problems()
    assert not list(read_documents(tmp_path / "a.jsonl", problems))
    write_report(tmp_path, {"train": 0}, 0.0, problems)
    report = json.loads((tmp_path / "corpus.json").read_text(encoding="utf-8"))
    assert REASON in report["bad_lines"]["first"][0]["message"]


def test_records_of_a_text_without_an_escaped_surrogate_are_not_searched() -> None:
    bad: list[int] = []
    records = ["Io", HALF, "Hi"]
    found = valid_records(records, lambda number, _: bad.append(number), json.dumps(records))
    assert (list(found), bad) == ([(1, "Io"), (3, "Hi")], [2])
    passed = valid_records([HALF], lambda number, _: bad.append(number), '["Io"]')
    assert (list(passed), bad) == ([(1, HALF)], [2])


LABELLED: dict[Callable[..., Any], Place] = {
    read_own: lambda string: {"text": "Io", "gold": [{"start": 0, "end": 2, "entity": string}]},
    read_elevant: lambda string: {"text": "Io", "labels": [{"span": [0, 2], "entity_id": string}]},
    read_doccano: lambda string: {"text": "Io", "label": [[0, 2, string]]},
    read_blink: lambda string: {"context_left": "", "mention": "Io", "label_title": string},
    read_texts: lambda string: {"text": "Io", "id": string},
    TASKS["classification"].read: lambda string: {"text": "Io", "label": string},
    TASKS["tagging"].read: lambda string: {"tokens": ["Io"], "tags": [f"B-{string}"]},
    TASKS["similarity"].read: lambda string: {"text": "Io", "second": string, "score": 1},
    read_questions: lambda string: {"question": string, "context": "Io", "answers": []},
}


@pytest.mark.parametrize("read", LABELLED, ids=lambda read: f"{read.__module__}.{read.__name__}")
def test_labelled_record_with_half_of_a_pair_is_skipped_and_counted(
    tmp_path: Path, read: Callable[..., Any]
) -> None:
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(LABELLED[read](s)) for s in ("a", HALF, "c")))
    problems = Problems()
    assert len(list(read(tmp_path / "a.jsonl", problems))) == 2
    assert problems.count == 1
    assert str(problems.first[0]).startswith("a.jsonl:2: ")
    assert REASON in problems.first[0].message


def test_record_of_an_array_with_half_of_a_pair_is_skipped_and_counted(tmp_path: Path) -> None:
    asked = [{"id": string, "question": "Who?", "answers": []} for string in ("a", HALF, "c")]
    tasks = [
        {
            "data": {"text": "Io"},
            "annotations": [{"result": [{"value": {"start": 0, "end": 2, "labels": [s]}}]}],
        }
        for s in ("a", HALF, "c")
    ]
    contents: list[tuple[Callable[..., Any], Any, str]] = [
        (TASKS["classification"].read, [{"text": "Io", "label": s} for s in ("a", HALF, "c")], "a.json:2: `label`: "),
        (read_questions, {"data": [{"paragraphs": [{"context": "Io", "qas": asked}]}]}, "a.json:2: question 2: `id`: "),
        (read_label_studio, tasks, "a.json: task 2: `annotations[0].result[0].value.labels[0]`: "),
    ]  # fmt: skip
    for read, content, told in contents:
        (tmp_path / "a.json").write_text(json.dumps(content))
        problems = Problems()
        assert len(list(read(tmp_path / "a.json", problems))) == 2
        assert [str(problem).startswith(told) for problem in problems.first] == [True], problems.first
        assert REASON in problems.first[0].message


STRICT: dict[str, tuple[Callable[[Path], Any], Place]] = {
    "pairs": (labels_of, lambda string: {"text_a": "Io", "text_b": string, "label": "yes"}),
    "groups": (
        lambda file: read_groups(file, ["anchor", "positive"], evaluation=False),
        lambda string: {"anchor": "Io", "positive": string},
    ),
    "similar": (read_similar, lambda string: {"text_a": "Io", "text_b": string, "score": 1}),
    "ids": (lambda file: EntityIds.read(["io"], f"{file}:qid"), lambda string: {"id": "io", "qid": string}),
}


@pytest.mark.parametrize("kind", STRICT)
def test_file_in_which_every_line_must_be_valid_is_refused_with_the_line(tmp_path: Path, kind: str) -> None:
    read, place = STRICT[kind]
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps(place(string)) for string in ("a", HALF, "c")))
    with pytest.raises(ValueError, match=rf"a\.jsonl:2: .*{REASON}"):
        read(tmp_path / "a.jsonl")

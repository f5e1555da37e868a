import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from kepipe.data.document_files import read_documents
from kepipe.data.sources.folder import read_folders
from kepipe.flow.events import Event, Noted
from kepipe.flow.stage import Nothing, StageContext
from kepipe.stages.corpus import CORPUS, CorpusConfig, corpus, fingerprint
from kg.problems import Problems
from tests.support.conflicts import error_message
from tests.support.stages import run_stage


def run(config: CorpusConfig, out: Path) -> list[Event]:
    events: list[Event] = []
    out.mkdir()
    corpus(Nothing(), config, StageContext(out, out, 0, "cpu", events.append))
    return events


def test_wikipedia_sample_keeps_its_anchors(tmp_path: Path) -> None:
    run(CorpusConfig(max_documents=5), tmp_path / "out")
    documents = list(read_documents(tmp_path / "out" / "documents.jsonl"))
    alabama = documents[-1]
    assert [document.title for document in documents][:2] == ["Anarchism", "Autism"]
    assert alabama.title == "Alabama"
    assert alabama.text.startswith(
        "Alabama is a state located in the southeastern region of the United States."
    )
    anchors = {(alabama.text[gold.start : gold.end], gold.entity) for gold in alabama.gold}
    assert {("Montgomery", "Montgomery, Alabama"), ("Georgia", "Georgia (U.S. state)")} <= anchors
    assert not any(mark in alabama.text for mark in ("[[", "{{", "<ref", "|-"))


def test_bad_lines_are_counted_in_the_report(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"text": "Two words"}\nnonsense\n')
    config = CorpusConfig(source="folder", path=tmp_path / "in.jsonl")
    events = run(config, tmp_path / "out")
    report = json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert (report["documents"], report["words"], report["bad_lines"]["count"]) == (1, 2, 1)
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert "in.jsonl:2: not JSON" in warnings[0]
    with pytest.raises(ValueError, match=r"in\.jsonl:2"):
        run(config.model_copy(update={"strict": True}), tmp_path / "strict")


@pytest.mark.parametrize("name", ["gold", "mentions"])
def test_gold_mentions_are_counted_separately(tmp_path: Path, name: str) -> None:
    document = {"text": "Titan goes around Saturn.", name: [{"start": 0, "end": 5, "entity": "titan"}]}
    (tmp_path / "in.jsonl").write_text(json.dumps(document) + "\n")
    events = run(CorpusConfig(source="folder", path=tmp_path / "in.jsonl", max_documents=1), tmp_path / "out")
    report = json.loads((tmp_path / "out" / "corpus.json").read_text())
    assert report["gold"] == (1 if name == "gold" else 0)
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    if name == "gold":
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.startswith("the 1 `mentions` of the texts are ignored")
        assert "belong in `gold`" in warning


def test_an_empty_corpus_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="the corpus is empty"):
        run(CorpusConfig(source="folder", path=tmp_path / "in.jsonl"), tmp_path / "out")
    with pytest.raises(ValueError, match="needs `path`"):
        run(CorpusConfig(source="folder"), tmp_path / "other")


def test_corpus_fingerprint_follows_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    config = CorpusConfig(source="folder", path=tmp_path)
    before = fingerprint(config)
    assert fingerprint(config) == before
    (tmp_path / "a.txt").write_text("two")
    assert fingerprint(config) != before
    assert fingerprint(CorpusConfig()) != before


def test_unused_corpus_setting_is_warned_about(tmp_path: Path) -> None:
    events = run(CorpusConfig(max_documents=1, path=tmp_path), tmp_path / "out")
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert warnings == ["corpus: `path` has no effect for the source wikipedia-sample"]


def test_unparsable_line_is_skipped_alone(tmp_path: Path) -> None:
    lines = ['{"text": "Io."}', '{"text": "x", "n": ' + "9" * 5000 + "}", "[" * 100_000, '{"text": "Mars."}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    problems = Problems()
    found = [document.text for document in read_folders([tmp_path], problems)]
    assert found == ["Io.", "Mars."]
    assert [(problem.line, problem.message) for problem in problems.first] == [
        (2, "not read: a number has too many digits"),
        (3, "not read: its lists and objects are nested too deeply"),
    ]


def test_unreadable_folder_is_reported(tmp_path: Path) -> None:
    """In a process of the user nobody, since root may read all."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        (root / "a.txt").write_text("Io.")
        (root / "closed").mkdir()
        (root / "closed" / "b.txt").write_text("Mars.")
        (root / "closed").chmod(0)
        program = (
            "import os, sys; from pathlib import Path; from kepipe.data.sources.folder import list_files\n"
            "os.getuid() or os.seteuid(65534)\n"
            "try: list_files(Path(sys.argv[1]))\n"
            "except ValueError as error: print(error)"
        )
        process = subprocess.run(
            [sys.executable, "-c", program, name], capture_output=True, text=True, check=True
        )
        (root / "closed").chmod(0o755)
    assert process.stdout.startswith(f"{name}/closed: cannot read the folder (Permission denied)")


def test_very_long_document_is_split_into_sections(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("Mars is near Earth.\n" * 110_000)
    config = CorpusConfig.model_validate({"source": "folder", "path": tmp_path / "texts"})
    run_stage(CORPUS, Nothing(), config, tmp_path / "stage")
    documents = list(read_documents(tmp_path / "stage" / "out" / "documents.jsonl"))
    assert [document.id for document in documents] == ["a#1", "a#2", "a#3"]
    assert sum(document.text.count("Mars") for document in documents) == 110_000


def task_text(tmp_path: Path, **settings: Any) -> tuple[list[str], list[Event]]:
    """The corpus of a task whose second training text is also in its test data, with other punctuation."""
    shared = "The drug that was given to all of these patients blocks the growth of the cells"
    for split, texts in (("train", ["One text.", shared, "Another one."]), ("test", [f"<< {shared} >>!"])):
        lines = (json.dumps({"text": text, "label": "a"}) for text in texts)
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    config = CorpusConfig.model_validate(
        {"source": "task", "path": tmp_path / "train.jsonl", "exclude": [tmp_path / "test.jsonl"], **settings}
    )
    events = run(config, tmp_path / "out")
    texts = [document.text for document in read_documents(tmp_path / "out" / "documents.jsonl")]
    return texts, events


def test_task_corpus_excludes_texts_of_the_test_data(tmp_path: Path) -> None:
    texts, events = task_text(tmp_path)
    assert texts == ["One text.", "Another one."]
    assert json.loads((tmp_path / "out" / "corpus.json").read_text())["excluded"] == 1
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert warnings == ["1 documents contain texts of `exclude` and are skipped, such as 0/train:2"]


def test_text_in_a_task_corpus_is_rejected_in_strict_mode(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`0/train:2` contains a text of `exclude`"):
        task_text(tmp_path, strict=True)


def test_data_as_training_text_leaves_an_empty_corpus(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text('{"text": "Only this.", "label": "a"}\n')
    config = CorpusConfig(source="task", path=tmp_path / "test.jsonl", exclude=tmp_path / "test.jsonl")
    with pytest.raises(ValueError, match="the corpus is empty"):
        run(config, tmp_path / "out")


def test_task_corpus_requires_exclude(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "One text.", "label": "a"}\n')
    source = "  text: {use: corpus, source: task, path: train.jsonl"
    assert "set the files whose texts must not be trained on" in error_message(tmp_path, f"{source}}}\n")
    assert error_message(tmp_path, f"{source}, exclude: []}}\n") == ""


def test_corpus_fingerprint_follows_the_excluded_files(tmp_path: Path) -> None:
    task_text(tmp_path)
    files = {"path": tmp_path / "train.jsonl", "exclude": tmp_path / "test.jsonl"}
    config = CorpusConfig.model_validate({"source": "task", **files})
    before = fingerprint(config)
    (tmp_path / "test.jsonl").write_text('{"text": "Others.", "label": "a"}\n')
    assert fingerprint(config) != before

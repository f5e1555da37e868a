import json
from pathlib import Path

import pytest

from kepipe.data.document_files import read_documents
from kepipe.flow.events import Event, Noted
from kepipe.flow.stage import Nothing, StageContext
from kepipe.stages.corpus import CorpusConfig, corpus, fingerprint


def run(config: CorpusConfig, out: Path) -> list[Event]:
    events: list[Event] = []
    out.mkdir()
    corpus(Nothing(), config, StageContext(out, out, 0, "cpu", events.append))
    return events


def test_the_wikipedia_sample_keeps_its_anchors(tmp_path: Path) -> None:
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


def test_an_empty_corpus_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("\n")
    with pytest.raises(ValueError, match="the corpus is empty"):
        run(CorpusConfig(source="folder", path=tmp_path / "in.jsonl"), tmp_path / "out")
    with pytest.raises(ValueError, match="needs `path`"):
        run(CorpusConfig(source="folder"), tmp_path / "other")


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one")
    config = CorpusConfig(source="folder", path=tmp_path)
    before = fingerprint(config)
    assert fingerprint(config) == before
    (tmp_path / "a.txt").write_text("two")
    assert fingerprint(config) != before
    assert fingerprint(CorpusConfig()) != before


def test_a_setting_that_a_source_does_not_heed_is_told(tmp_path: Path) -> None:
    events = run(CorpusConfig(max_documents=1, path=tmp_path), tmp_path / "out")
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert warnings == ["corpus: `path` means nothing to the source wikipedia-sample"]

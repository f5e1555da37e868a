"""Titles of a corpus as data of text-to-text, learned and compared with baselines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kepipe.data.corpus_files import write_corpus, write_report
from kepipe.data.document import Document
from kepipe.stages.artifacts import Corpus, TaskData
from kepipe.stages.finetune import FINETUNE
from kepipe.stages.title_dataset import TITLE_DATASET
from kg.problems import Problems
from tests.support.stages import run_stage
from tests.support.tasks import base_model
from tests.support.toy_training import EventRecorder, context_in


def corpus_of(folder: Path, documents: list[Document], share: float = 0.3) -> Corpus:
    folder.mkdir()
    write_report(folder, write_corpus(folder, documents, share), share, Problems())
    return Corpus(folder, "")


def test_titles_are_learned_from_a_corpus_and_baselines_are_scored(tmp_path: Path) -> None:
    documents = [
        Document(f"d{n}", f"{name} was long and old.", name) for n, name in enumerate("abcdefghijklmnop")
    ]
    corpus = corpus_of(tmp_path / "corpus", documents)
    recorder = EventRecorder()
    context = context_in(tmp_path / "titles", recorder)
    TITLE_DATASET.run(TITLE_DATASET.inputs(corpus), TITLE_DATASET.config(dev=0.3), context)
    assert "16 documents: the first text of 100% begins with the title" in recorder.notes()
    config = FINETUNE.config(
        task="text-to-text", length=16, epochs=1, generation={"max_new_tokens": 4, "num_beams": 1}
    )
    start = base_model(tmp_path / "base", "bart")
    noted = EventRecorder()
    tuned = context_in(tmp_path / "tuned", noted)
    FINETUNE.run(FINETUNE.inputs(start=start, data=TaskData(context.out, "")), config, tuned)
    baselines = json.loads((tuned.out / "scores.json").read_text())["baselines"]["test"]
    assert baselines["first_words"]["exact_match"]["value"] == 1
    assert baselines["most_frequent"]["exact_match"]["value"] == 0
    assert "without a model: rouge_l most frequent 0.000, first words 1.000" in noted.notes()


@pytest.mark.parametrize(
    ("share", "title", "message"),
    [(0.0, "T", "no document for `test`: hold out more"), (0.3, "", "no document of the corpus has a title")],
)
def test_corpus_without_titles_or_held_out_documents_is_rejected(
    tmp_path: Path, share: float, title: str, message: str
) -> None:
    documents = [Document(f"d{n}", "text", title and f"{title}{n}") for n in range(30)]
    corpus = corpus_of(tmp_path / "corpus", documents, share)
    with pytest.raises(ValueError, match=message):
        run_stage(TITLE_DATASET, TITLE_DATASET.inputs(corpus), TITLE_DATASET.config(), tmp_path / "stage")

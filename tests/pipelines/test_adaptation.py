"""The study of adaptation, through the command line, on a few lines of text: every arm trained, the page drawn."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.kepipe_run import EXAMPLE, ROOT, Kepipe
from tests.support.tasks import base_model

ARMS = {"as-it-is", "dapt", "tapt", "dapt-tapt", "nearest", "random", "wrong-domain"}
TASKS = ("chemprot", "citation")
CHEMICALS = ("aspirin", "lithium", "warfarin", "insulin", "dopamine")
TERMS = """\
[Term]
id: DOID:1
name: cancer

[Term]
id: DOID:2
name: lung cancer
is_a: DOID:1 ! cancer

[Term]
id: DOID:3
name: skin cancer
is_a: DOID:1 ! cancer
"""


def write(file: Path, rows: Iterable[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_data(folder: Path) -> None:
    """Files with the names and formats that the pipeline's header requires."""
    for task, labels in (("chemprot", ("INHIBITOR", "AGONIST")), ("citation-intent", ("Uses", "Background"))):
        for split in ("train", "dev", "test"):
            rows = (
                {"text": f"{split} {number}: {chemical} in {task} for cancer .", "label": labels[number % 2]}
                for number, chemical in enumerate(CHEMICALS * 2)
            )
            write(folder / "tasks" / task / f"{split}.jsonl", rows)
    texts = {
        "biomedical-abstracts": "{} was given to patients with lung cancer.",
        "movie-reviews": "a film of {}.",
    }
    for name, text in texts.items():
        rows = (
            {
                "id": str(number),
                "text": " ".join(text.format(f"{chemical} {number} {part}") for part in range(6)),
            }
            for number, chemical in enumerate(CHEMICALS * 4)
        )
        write(folder / "corpora" / f"{name}.jsonl", rows)
    terms = folder / "kg" / "disease-ontology" / "DO_cancer_slim.obo"
    terms.parent.mkdir(parents=True)
    terms.write_text(TERMS, encoding="utf-8")


def texts(corpus: Path) -> set[str]:
    return {json.loads(line)["text"] for line in (corpus / "documents.jsonl").open(encoding="utf-8")}


def small(model: Path) -> list[str]:
    """A trained model of two layers in place of MiniLM, a few updates, two seeds."""
    return [
        "study.seeds=2",
        *(f"stages.{task}-near.most=12" for task in TASKS),
        f"stages.domain-shards.tokenizer.from={model}",
        *(f"stages.{stage}.base.from={model}" for stage in ("dapt", "chemprot-300")),
        *(f"stages.dapt.{setting}" for setting in ("steps=2", "batch_tokens=512", "eval_every=2")),
        "stages.chemprot-300.epochs=1",
    ]


def test_adaptation_study_pretrains_on_each_text_and_fine_tunes_both_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "data")
    monkeypatch.setenv("KEPIPE_DATA", str(tmp_path / "data"))
    model = base_model(tmp_path / "model").folder
    pipeline = Kepipe(tmp_path / "workspace", ROOT / "pipelines" / "adaptation.yaml")
    outcome = pipeline.run_here(settings=small(model))
    assert outcome.code == 0, outcome.errors
    results = tmp_path / "workspace" / "adaptation"
    study = json.loads((results / "study" / "study.json").read_text())
    assert [finding["measure"] for finding in study["findings"]] == [
        f"{task}-300/test/accuracy" for task in TASKS
    ]
    assert all(set(finding["arms"]) == ARMS for finding in study["findings"])
    page = (results / "study" / "report.html").read_text()
    assert all(arm in page for arm in ARMS)
    for task in TASKS:
        tuned = [results / f"{task}-300.{arm}.{seed}" for arm in ARMS for seed in (0, 1)]
        assert len({(model / "model.safetensors").read_bytes() for model in tuned}) == len(tuned)
        near, drawn = (texts(results / f"{task}-{how}") for how in ("near", "drawn"))
        assert near != drawn
        assert len(near) == len(drawn) == 10 + 12, "as many texts, those of the task among them"
        assert texts(results / f"{task}-text") < near & drawn
        assert not any("film" in text for text in near | drawn)
    trained = [event["stage"] for event in outcome.events if event["event"] == "StageEnded"]
    assert trained.count("dapt") == trained.count("chemprot-near") == 1, "once, not with each seed"


def test_adaptation_of_a_small_bert_is_studied_over_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "data")
    monkeypatch.setenv("KEPIPE_DATA", str(tmp_path / "data"))
    pipeline = Kepipe(tmp_path / "workspace", ROOT / "pipelines" / "adaptation-small.yaml")
    settings = [
        f"graph={{source: native, path: {EXAMPLE.parent}}}",
        f"corpus={{source: folder, path: {EXAMPLE.parent / 'texts'}, held_out: 0.3}}",
        "stages.shards.tokenizer.size=600",
        *(f"stages.{stage}.{name}" for stage in ("bert", "dapt") for name in ("steps=2", "batch_tokens=512")),
        *(f"stages.{task}-near.most=12" for task in TASKS),
        "stages.chemprot.data.max_train=[4, all]",
        "stages.chemprot.epochs=1",
        "study.seeds=2",
        "study.measure={citation: test/accuracy}",
        "study.repeat=[citation]",
    ]
    outcome = pipeline.run_here(settings=settings)
    assert outcome.code == 0, outcome.errors
    results = tmp_path / "workspace" / "adaptation-small"
    study = json.loads((results / "study" / "study.json").read_text())
    assert [finding["measure"] for finding in study["findings"]] == [
        f"citation-{size}/test/accuracy" for size in (4, "all")
    ]
    assert all(set(finding["arms"]) == ARMS for finding in study["findings"])
    adapted = ["bert", "dapt", "citation-tapt", "citation-both", "wrong-domain"]
    assert len({(results / model / "model.safetensors").read_bytes() for model in adapted}) == len(adapted)

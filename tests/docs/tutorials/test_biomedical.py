"""The tutorial about diseases, followed with the ontology and a little of NCBI's corpus."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from kepipe.finetuning.fine_tuned import read_spec
from kepipe.studies.scores import MODEL, read_scores
from tests.support.own_data import TINY_BASE
from tests.support.tutorials import Tutorial

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set"),
]
BREAST_CANCER = "http://purl.obolibrary.org/obo/DOID_1612"
SMALLER = (
    f"stages.adapt.base={{{', '.join(f'{key}: {value}' for key, value in TINY_BASE.items())}}}",
    "stages.adapt.steps=2",
    "stages.adapt.batch_tokens=512",
    "stages.link.spacy_model=null",
    "stages.shards.tokenizer={size: 800}",
    "stages.tag.epochs=1",
    "stages.tag.data.max_train=24",
    "stages.tag.data.max_test=24",
)


def lay_out(folder: Path) -> None:
    """The files of the page, small: abstracts that name a cancer, and the first sentences of the corpus."""
    data = Path(os.environ["KEPIPE_DATA"])
    folder.mkdir()
    shutil.copy(data / "kg" / "disease-ontology" / "DO_cancer_slim.obo", folder)
    with (data / "corpora" / "biomedical-abstracts.jsonl").open(encoding="utf-8") as lines:
        chosen = islice((line for line in lines if "carcinoma" in line or "breast cancer" in line), 40)
        (folder / "abstracts.jsonl").write_text("".join(chosen), encoding="utf-8")
    for split in ("train", "dev"):
        sentences = (
            (data / "ner" / "ncbi-disease" / f"{split}.conll").read_text(encoding="utf-8").split("\n\n")
        )
        (folder / f"{split}.conll").write_text("\n\n".join(sentences[:60]) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("biomedical")
    lay_out(folder / "diseases")
    tutorial = Tutorial("biomedical", {"diseases/pipeline.yaml": SMALLER, "diseases/study.yaml": SMALLER})
    with pytest.MonkeyPatch.context() as patch:
        tutorial.follow(folder, patch)
        yield tutorial


def test_ontology_is_imported_and_linked(followed: Tutorial) -> None:
    assert "730" in followed.output_of("kepipe graph import")
    assert "breast" in followed.output_of("kepipe graph query")
    linked = [
        json.loads(line) for line in Path("diseases/linked.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    entities = {mention["entity"] for document in linked for mention in document.get("mentions", ())}
    assert BREAST_CANCER in entities
    assert len(linked) == 40


def test_both_taggers_are_scored_on_one_page(followed: Tutorial) -> None:
    assert "valid; stages" in followed.output_of("kepipe config check")
    made = Path("workspace/diseases")
    for name in ("tag", "plain"):
        metrics = read_scores(made / name / "scores.json").arms[MODEL]["test"]
        assert 0 <= metrics["span_f1"].value <= 1
        assert read_spec(made / name).labels == ("B-Disease", "I-Disease", "O")
    page = (made / "task-report" / "report.html").read_text(encoding="utf-8")
    assert {"tag", "plain"} <= set(re.findall(r">(tag|plain)<", page))
    gate = json.loads((made / "register" / "offer.json").read_text())["gate"]
    assert gate["metric"] == "test/span_f1"
    plan = followed.output_of("kepipe run diseases/study.yaml --dry-run")
    assert all(arm in plan for arm in ("graph-off", "graph-shuffled", "names-only"))
    assert re.search(r"adapt +cached", plan)


def test_predictions_use_the_ontology(followed: Tutorial) -> None:
    assert BREAST_CANCER in followed.output_of("kepipe predict")
    assert BREAST_CANCER in followed.printed
    labels = json.loads(Path("diseases/tagger/config.json").read_text())["id2label"]
    assert set(labels.values()) == {"B-Disease", "I-Disease", "O"}

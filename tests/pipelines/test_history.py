"""The pipeline of all generations of models, through the command line, on the example's text and a few task rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.kepipe_run import EXAMPLE, ROOT, Kepipe

LANGUAGE_MODELS = (
    "trigram", "ngram", "nnlm", "nnlm-and-trigram", "lstm", "gpt", "transformer-xl", "xlnet",
)  # fmt: skip
ENCODERS = ("word2vec", "glove", "cnn", "bilstm", "elmo", "bert", "untrained-bert")
TRAINED = ("nnlm", "lstm", "gpt", "elmo", "bert")
SMALL = (
    f"graph={{source: native, path: {EXAMPLE.parent}}}",
    f"corpus={{source: folder, path: {EXAMPLE.parent / 'texts'}, held_out: 0.3}}",
    "stages.shards.tokenizer.size=600",
    "stages.pieces.tokenizer.size=600",
    "stages.evaluate.context=48",
    "stages.word2vec.base.min_count=1",
    "stages.glove.base.min_count=1",
    "stages.citations-word2vec.epochs=1",
    "stages.names-word2vec.epochs=1",
    *(f"stages.{stage}.{setting}" for stage in TRAINED for setting in ("steps=2", "batch_tokens=256")),
)


def write_data(folder: Path) -> None:
    """Rows in the formats of SciCite and BC5CDR."""
    for part in ("tasks/sci-cite", "ner/bc5cdr"):
        (folder / part).mkdir(parents=True)
    for split in ("train", "dev", "test"):
        rows = [
            {"text": f"{split} {number}: Mars has moons, see Hall.", "label": label}
            for number, label in enumerate(("background", "method", "result") * 2)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "tasks" / "sci-cite" / f"{split}.jsonl").write_text(lines)
        sentences = (f"{split}\tO\n{number}\tO\nlithium\tI-Entity\n\n" for number in range(6))
        (folder / "ner" / "bc5cdr" / f"{split}.conll").write_text("".join(sentences))


def test_all_model_families_are_evaluated_and_on_one_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_data(tmp_path / "data")
    monkeypatch.setenv("KEPIPE_DATA", str(tmp_path / "data"))
    outcome = Kepipe(tmp_path / "workspace", ROOT / "pipelines" / "history.yaml").run_here(settings=SMALL)
    assert outcome.code == 0, outcome.errors
    made = tmp_path / "workspace" / "history"
    scores = json.loads((made / "evaluate" / "scores.json").read_text())
    assert {arm: set(probes) for arm, probes in scores["arms"].items()} == {
        arm: {"perplexity"} for arm in LANGUAGE_MODELS
    }
    page = (made / "report" / "report.html").read_text(encoding="utf-8")
    for task in ("citations", "names"):
        for encoder in ENCODERS:
            assert (made / f"{task}-{encoder}" / "scores.json").exists()
            assert f"{task}-{encoder}</td>" in page
    assert (made / "report" / "report.png").read_bytes().startswith(b"\x89PNG")

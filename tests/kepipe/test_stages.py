"""Fused models in the stages: killed and resumed, in two processes, neighbours composed, after a linker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.data.document import Document
from kepipe.data.document_files import write_documents
from kepipe.finetuning.predictor import Predictor
from kepipe.flow.events import Metrics
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models.folder import load
from kepipe.stages.artifacts import Corpus, FineTuned, Graph, Linked, Vectors
from kepipe.stages.finetune import FINETUNE
from kepipe.stages.link import LINK
from kepipe.tokenization.training import train_tokenizer
from kg.schema import Entity, Relation, Triple
from kg.vectors import TABLE, map_table, save_vectors
from kg.writer import write_graph
from tests.support.fusion import pretrain, write_world
from tests.support.tasks import SETTINGS
from tests.support.toy_training import EventRecorder, context_in


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_world(tmp_path_factory.mktemp("fused") / "world")


RUN = """
import sys
from pathlib import Path
from tests.support.fusion import pretrain
from tests.support.killing import kill_when, newest_step
world, folder = Path(sys.argv[1]), Path(sys.argv[2])
if sys.argv[3] == "killed":
    kill_when(lambda: newest_step(folder / "scratch" / "checkpoints"))
pretrain(world, folder)
"""


def test_killed_fused_pretraining_resumes_bit_identically(world: Path, tmp_path: Path) -> None:
    def start(name: str, ends: str = "") -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", RUN, str(world), str(tmp_path / name), ends]
        return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"})

    whole, killed = start("whole"), start("killed", "killed")
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed/out/model.safetensors").exists()
    assert start("killed").wait() == whole.wait() == 0
    files = {
        name: {file.name: file.read_bytes() for file in (tmp_path / name / "out").iterdir()}
        for name in ("whole", "killed")
    }
    assert files["whole"] == files["killed"]
    assert {"model.safetensors", "vectors.safetensors", "entities.txt"} <= files["whole"].keys()


def test_fused_pretraining_in_two_processes_has_the_losses_of_one(world: Path, tmp_path: Path) -> None:
    """With entities in the rows, dropout, and a loss over the entities of each part."""
    alone, recorder = pretrain(world, tmp_path / "alone", accumulate=2)
    shared, heard = pretrain(world, tmp_path / "shared", accumulate=2, processes=2)
    for name in ("loss", "loss_mlm", "loss_dea", "entity_accuracy", "held_out_loss", "gradient_norm"):
        assert len(recorder.metric(name)) > 1, name
        assert heard.metric(name) == pytest.approx(recorder.metric(name), rel=1e-4), name
    weights = dict(load(shared).named_parameters())
    assert all(weights[name].allclose(value, atol=1e-5) for name, value in load(alone).named_parameters())


def test_new_entities_get_composed_vectors_in_pretraining(world: Path, tmp_path: Path) -> None:
    """Q12 has no vector; the graph says it is near Q10, and so it becomes Q10 + near, in training and in the folder."""
    (without, quiet), (made, recorder) = (
        pretrain(world, tmp_path / str(neighbours), neighbours, steps=1, eval_every=1)
        for neighbours in (False, True)
    )
    known, grown = EntityVectors.open(without), EntityVectors.open(made)
    table = known.table()
    assert known.rows(["Q12"]).tolist() == [-1]
    expected = table[known.rows(["Q10"])[0]] + map_table(made / TABLE, "relations")[0]
    np.testing.assert_allclose(grown.table()[grown.rows(["Q12"])[0]], expected, rtol=1e-6)
    assert "1 entities without a vector got one composed" in recorder.notes()
    with_vector = [last(heard, "mentions_with_vector") for heard in (quiet, recorder)]
    assert with_vector[0] < with_vector[1] < last(recorder, "mentions")
    assert json.loads((made / "kepipe.json").read_text())["neighbours"] == "digest"


def last(recorder: EventRecorder, name: str) -> float:
    told = [event.values for event in recorder.events if isinstance(event, Metrics)]
    return [values[name] for values in told if name in values][-1]


SYLLABLES = ["ba", "do", "ki", "lu", "me", "no"]
TOWNS = [f"{a}{b}{c}".title() for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]
SIDE = {town: ("north", "south")[int(np.random.default_rng(n).integers(2))] for n, town in enumerate(TOWNS)}
SEEN, UNSEEN = TOWNS[:160], TOWNS[160:]


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Linked:
    """A text about towns, linked by the stage to a graph of them."""
    folder = tmp_path_factory.mktemp("linked")
    entities = [Entity(f"Q{town}", town, types=("town",)) for town in TOWNS]
    facts = [Triple(f"Q{a}", "near", f"Q{b}") for a, b in pairwise(TOWNS)]
    write_graph(folder / "graph", entities, [Relation("near", "near")], {"train": facts})
    (folder / "corpus").mkdir()
    pairs = enumerate(pairwise(TOWNS))
    texts = [Document(f"d{n}", f"Last year {a} was larger than {b}.") for n, (a, b) in pairs]
    write_documents(folder / "corpus" / "documents.jsonl", texts)
    (folder / "corpus" / "corpus.json").write_text('{"held_out_share": 0.1}')
    context = context_in(folder / "link")
    inputs = LINK.inputs(Graph(folder / "graph", ""), Corpus(folder / "corpus", ""))
    LINK.run(inputs, LINK.config.model_validate({"spacy_model": None, "workers": 1}), context)
    return Linked(context.out, "")


def write_towns(file: Path, towns: list[str], count: int) -> str:
    """Sentences that name a town, without entity ids."""
    rng, lines = np.random.default_rng(len(towns)), []
    for town in rng.choice(towns, count).tolist():
        before = str(rng.choice(["Last year", "We saw that", "They say"]))
        text, start = f"{before} {town} was larger.", len(before) + 1
        lines.append({"text": text, "start": start, "end": start + len(town), "types": [SIDE[town]]})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


@pytest.fixture(scope="module")
def tuned(linked: Linked, tmp_path_factory: pytest.TempPathFactory) -> FineTuned:
    """Typing by vectors of which half the numbers say the side; the linker finds the entities."""
    folder = tmp_path_factory.mktemp("tuned")
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.1, (len(TOWNS), 16)).astype(np.float32)
    table[:, :8] += np.array([[1.0 if SIDE[town] == "north" else -1.0] for town in TOWNS], np.float32)
    save_vectors(folder / "vectors", [f"Q{town}" for town in TOWNS], table)
    train_tokenizer(["last year we saw that they say was larger", *SYLLABLES] * 4, "wordpiece", 200).save(
        folder / "words"
    )
    parts = {"train": (SEEN, 320), "dev": (SEEN, 60), "test": (UNSEEN, 100)}
    settings = SETTINGS | {
        "task": "typing",
        "data": {name: write_towns(folder / f"{name}.jsonl", towns, n) for name, (towns, n) in parts.items()},
        "base": {"layers": 2, "hidden": 32, "heads": 2},
        "knowledge": {"method": "ernie-tsinghua", "first": 1, "entity_heads": 2},
        "tokenizer": str(folder / "words"),
        "entity_markers": False,
    }
    context = context_in(folder)
    inputs = FINETUNE.inputs(vectors=Vectors(folder / "vectors", ""), linked=linked)
    FINETUNE.run(inputs, FINETUNE.config.model_validate(settings), context)
    return FineTuned(context.out, "")


def test_tuned_model_links_raw_text_with_its_linker(tuned: FineTuned, tmp_path: Path) -> None:
    """The folder, moved elsewhere, links raw texts by the linker that it carries."""
    assert json.loads((tuned.folder / "task.json").read_text())["mentions"] == "linker"
    assert tuned.scores()["test"]["strict"].value > 0.9
    alone = tmp_path / "alone"
    shutil.copytree(tuned.folder, alone)
    answers = Predictor.open(alone).predict([f"They say [[{town}|mention]] was larger." for town in UNSEEN])
    right = [next(iter(one["predicted"])) == SIDE[town] for one, town in zip(answers, UNSEEN, strict=True)]
    assert np.mean(right) > 0.9
    assert [one["entities"][0]["entity"] for one in answers] == [f"Q{town}" for town in UNSEEN]


def test_predict_command_links_raw_text(tuned: FineTuned) -> None:
    town = UNSEEN[3]
    text = f"They say [[{town}|mention]] was larger."
    result = CliRunner().invoke(app, ["predict", str(tuned.folder), text])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(SIDE[town])
    assert f"{town} → Q{town}" in result.stdout

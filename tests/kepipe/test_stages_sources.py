"""Every user file that a stage opens is in its cache key, whichever library opens it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.flow.stage import Nothing, Stage
from kepipe.inference.word_vectors import import_vectors
from kepipe.models.static import formats
from kepipe.stages.artifacts import Corpus, Graph, Linked, Shards
from kepipe.stages.corpus import CORPUS
from kepipe.stages.embed import EMBED, EmbedInputs
from kepipe.stages.evaluate import EVALUATE, EvaluateInputs
from kepipe.stages.finetune import FINETUNE, FinetuneInputs
from kepipe.stages.graph import GRAPH
from kepipe.stages.neighbours import NEIGHBOURS
from kepipe.stages.pretrain import PRETRAIN, PretrainInputs
from kepipe.stages.shards import SHARDS, ShardsInputs
from kepipe.stages.table import STAGES
from kepipe.stages.vectors import VECTORS, VectorsInputs
from kepipe.tokenization.tokenizer import load_tokenizer
from kg.store import open_graph
from tests.support.fusion import pretrain, write_world
from tests.support.graphs import numbered_graph
from tests.support.opened import opened_files
from tests.support.pretraining import SMALL, write_shards
from tests.support.stages import run_stage
from tests.support.tasks import SETTINGS, base_model, finetune, tokenizer, write_task
from tests.support.towns import SIDE
from tests.support.towns import write_world as write_towns
from tests.support.world import make_world

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


@dataclass(frozen=True)
class Case:
    """A stage with its inputs and settings, which name the contents of `files`."""

    stage: Stage[Any, Any]
    inputs: Any
    settings: dict[str, Any]
    files: Path
    changes: tuple[str, ...]
    """Some of the files, each of which decides the result."""


def corpus(files: Path, _rest: Path) -> Case:
    (files / "inner").mkdir()
    (files / "a.txt").write_text("Io is a moon of Jupiter.")
    (files / "inner" / "b.jsonl").write_text('{"id": "b", "text": "Mars has two moons."}\n')
    return Case(CORPUS, Nothing(), {"source": "folder", "path": files}, files, ("a.txt", "inner/b.jsonl"))


def graph(files: Path, _rest: Path) -> Case:
    (files / "triples.tsv").write_text("io\tmoon of\tjupiter\n")
    (files / "entities.jsonl").write_text('{"id": "io", "label": "Io"}\n')
    (files / "relations.tsv").write_text("moon of\tis a moon of\n")
    changes = ("triples.tsv", "entities.jsonl", "relations.tsv")
    return Case(GRAPH, Nothing(), {"source": "native", "path": files}, files, changes)


def embed(files: Path, rest: Path) -> Case:
    triples = np.array([[0, 0, 1], [1, 0, 2], [2, 0, 3]])
    numbered_graph(rest / "graph", 4, 1, train=triples)
    inputs = EmbedInputs(Graph(rest / "graph", "digest"))
    settings = {"dim": 4, "epochs": 1, "validate_every": 0}
    run_stage(EMBED, inputs, EMBED.config(**settings), rest / "first")
    shutil.copytree(rest / "first" / "out", files, dirs_exist_ok=True)
    return Case(
        EMBED, inputs, {**settings, "warm_start": files}, files, ("vectors.safetensors", "entities.txt")
    )


def vectors(files: Path, rest: Path) -> Case:
    numbered_graph(rest / "graph", 4, 1, train=np.array([[0, 0, 1]]))
    lines = [f"{id} {place} 0.5\n" for place, id in enumerate(open_graph(rest / "graph").ids)]
    (files / "v.txt").write_text("".join(lines))
    inputs = VectorsInputs(Graph(rest / "graph", "digest"))
    return Case(VECTORS, inputs, {"path": files / "v.txt"}, files, ("v.txt",))


def shards_folder(files: Path, rest: Path) -> Case:
    write_shards(rest)
    tokenizer().save(files)
    settings = {"tokenizer": {"from": str(files)}}
    return Case(
        SHARDS, ShardsInputs(Linked(rest, "")), settings, files, ("tokenizer.json", "tokenizer_config.json")
    )


def shards_vocabulary(files: Path, rest: Path) -> Case:
    write_shards(rest)
    (files / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "near"]) + "\n"
    )
    settings = {"tokenizer": {"from": str(files / "vocab.txt")}}
    return Case(SHARDS, ShardsInputs(Linked(rest, "")), settings, files, ("vocab.txt",))


def pretrain_fused(files: Path, rest: Path) -> Case:
    """A base with its own vectors."""
    world = write_world(rest / "world")
    out, _ = pretrain(world, rest / "first", steps=2, eval_every=2)
    shutil.copytree(out, files, dirs_exist_ok=True)
    shards = PretrainInputs(Shards(world / "text" / "work" / "out", ""))
    settings = {**SMALL, "base": {"from": str(files)}, "steps": 1, "format": "segment-pair"}
    changes = ("model.safetensors", "entities.txt", "vectors.safetensors", "knowledge.json", "config.json")
    return Case(PRETRAIN, shards, settings, files, changes)


def pretrain_embeddings(files: Path, rest: Path) -> Case:
    """A new base with token embeddings from a file."""
    world = write_world(rest / "world")
    shards = Shards(world / "text" / "work" / "out", "")
    backend = load_tokenizer(shards.folder / "tokenizer").backend
    words = [backend.id_to_token(number) for number in range(backend.get_vocab_size())]
    (files / "v.txt").write_text("".join(f"{word} {' 0.5' * 32}\n".replace("  ", " ") for word in words))
    base = {"family": "bert", "layers": 1, "hidden": 32, "heads": 2, "embeddings": str(files / "v.txt")}
    settings = {**SMALL, "base": base, "steps": 1, "format": "segment-pair"}
    return Case(PRETRAIN, PretrainInputs(shards), settings, files, ("v.txt",))


def pretrain_vector_folder(files: Path, rest: Path) -> Case:
    """A new base with token embeddings from a model of word vectors."""
    case = pretrain_embeddings(files, rest)
    vectors = formats.read(files / "v.txt")
    (files / "v.txt").unlink()
    import_vectors(vectors, files, family="word2vec")
    base = {**case.settings["base"], "embeddings": str(files)}
    changes = ("config.json", "model.safetensors", "tokenizer.json")
    return replace(case, settings=case.settings | {"base": base}, changes=changes)


def finetune_again(files: Path, rest: Path) -> Case:
    """A base that was fine-tuned with a graph, which its folder includes, as well as its tokenizer and markers."""
    towns = Graph(write_towns(rest / "towns", SIDE), "")
    data = write_task(rest / "data", "typing", 20, 20)
    start = base_model(rest / "base")
    changes = {"epochs": 1, "knowledge": {"method": "k-bert", "max_branches": 1}, "mentions": "names"}
    made = finetune(rest / "first", start, "typing", data, inputs={"graph": towns}, **changes)
    shutil.copytree(made.folder, files, dirs_exist_ok=True)
    settings = SETTINGS | {
        "task": "typing",
        "data": data,
        "base": {"from": str(files)},
        "epochs": 1,
        "mentions": "none",
    }
    read = ("model.safetensors", "tokenizer.json", "task.json", "knowledge.json", "graph/graph.json")
    return Case(FINETUNE, FinetuneInputs(), settings, files, read)


def finetune_fresh(files: Path, _rest: Path) -> Case:
    """A new base over a vocabulary, and the task's data."""
    data = write_task(files, "classification", 20, 20)
    words = sorted({word for line in (files / "train.tsv").read_text().split("\n") for word in line.split()})
    (files / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]) + "\n")
    base = {"family": "bert", "layers": 1, "hidden": 32, "heads": 2}
    settings = SETTINGS | {
        "task": "classification",
        "data": data,
        "base": base,
        "tokenizer": str(files / "vocab.txt"),
    }
    return Case(
        FINETUNE,
        FinetuneInputs(),
        settings | {"epochs": 1},
        files,
        ("vocab.txt", "train.tsv", "dev.tsv", "test.tsv"),
    )


def evaluate(files: Path, rest: Path) -> Case:
    """Templates of questions."""
    world = make_world(rest / "world")
    (files / "templates.tsv").write_text("capital\t[X] is the capital of [Y] .\n")
    inputs = EvaluateInputs(world.arms, world.linked, world.graph, world.shards)
    settings = {"probes": ["graph-quiz"], "context": 48, "graph_quiz": {"templates": files / "templates.tsv"}}
    return Case(EVALUATE, inputs, settings, files, ("templates.tsv",))


def neighbours(files: Path, rest: Path) -> Case:
    """The encoder whose vectors are compared."""
    made = []
    for name in ("pool", "examples"):
        (rest / name).mkdir()
        (rest / name / "a.txt").write_text("we saw rain again.\n")
        settings = CORPUS.config(source="folder", path=rest / name, held_out=0.1)
        run_stage(CORPUS, Nothing(), settings, rest / f"{name}-work")
        made.append(Corpus(rest / f"{name}-work" / "out", name))
    shutil.copytree(base_model(rest / "base").folder, files, dirs_exist_ok=True)
    settings = {"by": "encoder", "encoder": str(files), "length": 16}
    read = ("model.safetensors", "tokenizer.json", "config.json")
    return Case(NEIGHBOURS, NEIGHBOURS.inputs(*made), settings, files, read)


CASES: dict[str, tuple[Callable[[Path, Path], Case], ...]] = {
    "corpus": (corpus,),
    "graph": (graph,),
    "embed": (embed,),
    "vectors": (vectors,),
    "shards": (shards_folder, shards_vocabulary),
    "pretrain": (pretrain_fused, pretrain_embeddings, pretrain_vector_folder),
    "finetune": (finetune_again, finetune_fresh),
    "evaluate": (evaluate,),
    "neighbours": (neighbours,),
}
"""Kind of stage → what it may be given of the user's."""
ALL = [make for makes in CASES.values() for make in makes]
PACKAGES_ONLY = {"link", "champion"}
"""Kinds of stages that read no file of the user's but what a package installs, and have its version in their key; or a
model of the registry, by its digest."""


def make_case(make: Callable[[Path, Path], Case], root: Path) -> Case:
    for name in ("files", "rest"):
        (root / name).mkdir()
    return make(root / "files", root / "rest")


def test_every_stage_that_reads_user_files_is_tested() -> None:
    default = Stage.__dataclass_fields__["fingerprint"].default
    with_sources = {stage.name for stage in STAGES if stage.fingerprint is not default}
    assert with_sources - PACKAGES_ONLY == CASES.keys()


@pytest.mark.parametrize("make", ALL)
def test_opened_files_are_in_the_cache_key(make: Callable[[Path, Path], Case], tmp_path: Path) -> None:
    case = make_case(make, tmp_path)
    config = case.stage.config.model_validate(case.settings)
    before = case.stage.fingerprint(config)
    with opened_files(case.files) as opened:
        run_stage(case.stage, case.inputs, config, tmp_path / "work")
    assert opened
    for name in opened:
        file = case.files / name
        content = file.read_bytes()
        file.write_bytes(content + b" ")
        assert case.stage.fingerprint(config) != before, f"{name} is read, and is not in the key"
        file.write_bytes(content)
        assert case.stage.fingerprint(config) == before
    assert set(case.changes) <= opened, "the case does not try what it says"

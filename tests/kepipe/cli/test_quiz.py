"""`kepipe quiz`: any models, a graph of any format, a table, scores and a page."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.models.base import Base, build
from kepipe.models.folder import save
from kepipe.studies.scores import read_scores
from tests.support.networks import network
from tests.support.world import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def quiz(*arguments: str | Path) -> str:
    ended = CliRunner().invoke(app, ["quiz", *map(str, arguments)], env={"COLUMNS": "200"})
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_quiz_compares_masked_and_causal_models_on_a_page(world: World, tmp_path: Path) -> None:
    tokenizer = world.shards.folder / "tokenizer"
    writer = build(Base(family="gpt2", layers=1, hidden=32, heads=2), world.tokenizer.vocab_size, 0)
    save(tmp_path / "gpt2", writer, tokenizer=tokenizer, provenance={"seed": 0})
    out, page = tmp_path / "scores.json", tmp_path / "quiz.html"
    output = quiz(
        world.arms[0].folder, tmp_path / "gpt2", "--graph", world.graph.folder, "--questions", 10, "--options", 4,
        "--json", out, "--page", page,
    )  # fmt: skip
    scores = read_scores(out)
    assert list(scores.arms) == ["pretrain", "gpt2"]
    assert scores.details["graph_quiz"]["questions"] == 10
    assert f"gpt2 {scores.arms['gpt2']['graph_quiz']['accuracy'].value:.3f}" in output
    assert "Without knowledge: pretrain, gpt2." in output
    assert "<span" not in output
    assert "most frequent" in output
    html = page.read_text(encoding="utf-8")
    assert "Best and worst relations" in html
    assert "name overlap" in html


def test_quiz_accepts_non_transformer_networks(world: World, tmp_path: Path) -> None:
    """By the sentence's probability, or at a mask, as BERT does."""
    for name, family, settings in (
        ("nnlm", "nnlm", {}),
        ("lstm", "lstm", {}),
        ("bilstm", "lstm", {"bidirectional": True}),
        ("cnn", "cnn", {}),
    ):
        model = network(family, vocabulary=world.tokenizer.vocab_size, **settings)
        save(tmp_path / name, model, tokenizer=world.shards.folder / "tokenizer", provenance={"seed": 0})
    names, out = ["nnlm", "lstm", "bilstm", "cnn"], tmp_path / "scores.json"
    folders = [tmp_path / name for name in names]
    quiz(*folders, "--graph", world.graph.folder, "--questions", 10, "--options", 4, "--json", out)
    scores = read_scores(out)
    assert list(scores.arms) == names
    assert all(0 <= scores.arms[name]["graph_quiz"]["accuracy"].value <= 1 for name in names)


def test_quiz_page_escapes_labels_of_the_graph(world: World, tmp_path: Path) -> None:
    file = tmp_path / "facts.tsv"
    facts = ("Oslo\tin\t<b>Norway</b>", "Lima\tin\tPeru", "Paris\tin\tFrance")
    file.write_text("head\trelation\ttail\n" + "\n".join(facts) + "\n", encoding="utf-8")
    page = tmp_path / "quiz.html"
    output = quiz(world.arms[0].folder, "--graph", file, "--page", page)
    assert "<b>Norway</b>" in output
    assert "<b>Norway" not in page.read_text(encoding="utf-8")
    assert "&lt;b&gt;Norway" in page.read_text(encoding="utf-8")


def test_quiz_uses_and_reports_knowledge_of_a_model_folder(world: World, tmp_path: Path) -> None:
    """K-BERT injects triples of the queried entity, including the facts themselves."""
    from kepipe.knowledge.kbert.settings import KBert
    from kepipe.knowledge.opening import write_settings

    folder = tmp_path / "with-triples"
    shutil.copytree(world.arms[0].folder, folder)
    write_settings(folder, KBert(length=64))
    shutil.copytree(world.graph.folder, folder / "graph")
    output = quiz(folder, world.arms[1].folder, "--graph", world.graph.folder)
    assert "With knowledge: with-triples (12 of 12 mentions known)." in " ".join(output.split())
    assert "Without knowledge: control." in output


def test_quiz_knowledge_option_adds_or_disables_knowledge(world: World, tmp_path: Path) -> None:
    """The queried facts are injected next to the question; `none` disables a folder's knowledge."""
    from kepipe.knowledge.kbert.settings import KBert
    from kepipe.knowledge.opening import write_settings

    few = ("--graph", world.graph.folder, "--questions", 6, "--options", 3)
    output = quiz(world.arms[0].folder, *few, "--knowledge", "{method: k-bert, length: 64}")
    assert "With knowledge: pretrain (6 of 6 mentions known)." in " ".join(output.split())
    folder = tmp_path / "with-triples"
    shutil.copytree(world.arms[0].folder, folder)
    write_settings(folder, KBert(length=64))
    shutil.copytree(world.graph.folder, folder / "graph")
    assert "Without knowledge: with-triples." in quiz(folder, *few, "--knowledge", "none")


@pytest.mark.data
@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_quiz_with_pararel_templates_reports_consistency(tmp_path: Path) -> None:
    data, out = Path(os.environ["KEPIPE_DATA"]), tmp_path / "scores.json"
    quiz(
        "minilm", "--graph", data / "kg" / "codex-s", "--templates", data / "probes" / "pararel" / "patterns",
        "--relation", "P37", "--relation", "P30", "--questions", 20, "--options", 5, "--paraphrases", 3, "--json", out,
    )  # fmt: skip
    details, metrics = (read_scores(out).details["graph_quiz"], read_scores(out).arms["minilm"]["graph_quiz"])
    assert details["cases"] == 3 * details["questions"]
    assert 0 <= metrics["consistency"].value <= 1
    assert metrics["consistency"].cases == details["questions"]

"""What `kepipe.load` accepts, and errors before any weights are read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import kepipe
from kepipe.api.graphs import opened_graph
from kepipe.config import ConfigError
from kepipe.models.static.config import StaticConfig
from tests.support.tasks import base_model


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    (tmp_path / "triples.tsv").write_text("titan\torbits\tsaturn\n")
    entities = '{"id": "titan", "label": "Titan"}\n{"id": "saturn", "label": "Saturn"}\n'
    (tmp_path / "entities.jsonl").write_text(entities)
    with opened_graph(tmp_path) as opened:
        shutil.copytree(opened.folder, tmp_path / "graph")
    return tmp_path / "graph"


def test_a_stored_graph_links_in_the_detected_language(graph: Path) -> None:
    linker = kepipe.load(graph)
    assert linker.abilities == ("link",)
    assert repr(linker) == f"<LoadedModel {graph}: link>"
    (document,) = linker.link("Titan goes around Saturn.", spacy_model=None)
    assert [(m.start, m.end, m.entity) for m in document.mentions] == [(0, 5, "titan"), (18, 24, "saturn")]
    assert linker.link(["土星"], threshold=0.0)[0].text == "土星"


def test_arguments_that_a_model_does_not_use_are_an_error(graph: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a linker takes no knowledge"):
        kepipe.load(graph, knowledge="k-bert")
    with pytest.raises(ValueError, match="expected a model folder"):
        kepipe.load(tmp_path / "nothing")
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    config = StaticConfig(family="word2vec", vocabulary=9, hidden=4)
    (vectors / "config.json").write_text(json.dumps({"format": config.format, **config.to_json()}))
    with pytest.raises(ValueError, match="an encoder without a head, which predicts nothing"):
        kepipe.load(vectors)
    fills = base_model(tmp_path / "bert").folder
    with pytest.raises(ValueError, match="it fills masks from the text only"):
        kepipe.load(fills, graph=graph)
    with pytest.raises(ValueError, match="this model does not generate text: remove prompt_style"):
        kepipe.load(fills, prompt_style="append")
    with pytest.raises(ValueError, match="unknown applies to fine-tuned models only"):
        kepipe.load(base_model(tmp_path / "gpt", "gpt2").folder, unknown="compose")


def test_an_unreachable_registry_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match="the model registry cannot be reached"):
        kepipe.load("models:/none@champion", workspace=tmp_path / "workspace")

"""The champion of a real registry as a stage's result, or a new model if there is none."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from kepipe.config import ConfigError
from kepipe.flow.events import Event, Noted
from kepipe.flow.stage import StageContext
from kepipe.inference.opening import load_encoder
from kepipe.models.folder import load, read_provenance
from kepipe.models.pretrained import locate
from kepipe.stages.artifacts import Corpus
from kepipe.stages.from_champion import CHAMPION_STAGE, ChampionConfig, ChampionInputs, champion
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.tracking.registry import offer
from kepipe.tracking.store import connect
from tests.support.deliveries import no_score
from tests.support.journals import offered
from tests.support.world import make_world

BASE = {"family": "bert", "layers": 1, "hidden": 16, "heads": 2}


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ChampionInputs:
    """A text in the store of a workspace."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace" / "store" / "done" / "corpus"
    folder.mkdir(parents=True)
    return ChampionInputs(Corpus(folder, "digest"))


def run(inputs: ChampionInputs, out: Path, seed: int = 0, **settings: object) -> str:
    """The messages."""
    events: list[Event] = []
    for folder in (out, out.with_name(f"{out.name}-scratch")):
        folder.mkdir()
    context = StageContext(out, out.with_name(f"{out.name}-scratch"), seed, "cpu", events.append)
    champion(inputs, ChampionConfig.model_validate({"name": "moons", "base": BASE, **settings}), context)
    (note,) = (event.message for event in events if isinstance(event, Noted))
    return note


def test_new_model_is_used_until_there_is_a_champion(inputs: ChampionInputs, tmp_path: Path) -> None:
    assert run(inputs, tmp_path / "first") == "moons has no champion yet: starts with a new bert"
    run(inputs, tmp_path / "again")
    for file in ("model.safetensors", "config.json", "tokenizer.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "again" / file).read_bytes()
    load_tokenizer("minilm").save(tmp_path / "tokenizer")  # as the stage `shards` writes it
    assert (tmp_path / "first" / "tokenizer.json").read_bytes() == (
        tmp_path / "tokenizer" / "tokenizer.json"
    ).read_bytes()
    assert load(tmp_path / "first").config.hidden == 16

    world = make_world(tmp_path / "world")
    store = connect(tmp_path / "workspace")
    experiment = store.experiment("moons")
    made = store.client.create_run(experiment).info.run_id
    source = SimpleNamespace(experiment=experiment, run_id=lambda _: made, maker_id=lambda _: None)
    for arm, value in zip(world.arms, (0.5, 0.4), strict=True):
        offer(store, offered("moons", arm.folder, arm.digest, value, arm.name), source, no_score)
    assert run(inputs, tmp_path / "third") == "continues from moons version 1, the champion"
    assert run(inputs, tmp_path / "fourth", at="2", base=None) == "continues from moons version 2"
    for out, arm in (("third", world.arms[0]), ("fourth", world.arms[1])):
        for file in ("model.safetensors", "config.json", "tokenizer.json", "kepipe.json"):
            assert (tmp_path / out / file).read_bytes() == (arm.folder / file).read_bytes()
    with pytest.raises(ValueError, match="models:/moons/3 does not exist"):
        run(inputs, tmp_path / "none", at="3")


def test_trained_model_is_used_until_there_is_a_champion(inputs: ChampionInputs, tmp_path: Path) -> None:
    """Its folder is one that training starts from: with the tokenizer as the shards have it, and without a record of
    what it was trained on."""
    base = {"from": "minilm"}
    assert run(inputs, tmp_path / "first", base=base) == "moons has no champion yet: starts with minilm"
    load_tokenizer("minilm").save(tmp_path / "tokenizer")
    written = (tmp_path / folder / "tokenizer.json" for folder in ("first", "tokenizer"))
    assert len({file.read_bytes() for file in written}) == 1
    ours, theirs = load_encoder(tmp_path / "first"), load_encoder(locate("minilm"))
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))
    assert read_provenance(tmp_path / "first") == {}
    fresh, trained = (ChampionConfig.model_validate({"base": each}) for each in (BASE, base))
    assert CHAMPION_STAGE.fingerprint(trained).keys() > {"base/model.safetensors"}
    assert not CHAMPION_STAGE.fingerprint(fresh).keys() & {"base/model.safetensors"}


def test_missing_champion_without_a_base_is_an_error(inputs: ChampionInputs, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"models:/moons@champion does not exist .*family: bert"):
        run(inputs, tmp_path / "out", base=None)


def test_unreachable_registry_does_not_start_a_new_model(
    inputs: ChampionInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises((ValueError, ConfigError), match="cannot be looked up"):
        run(inputs, tmp_path / "out")

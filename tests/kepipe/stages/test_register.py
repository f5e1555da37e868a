"""The stage `register`: an offer that is the same each time, and the champion measured as the evaluation was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.events import Event, ModelOffered
from kepipe.flow.plan import Node, cache_key_inputs
from kepipe.flow.stage import StageContext
from kepipe.stages.artifacts import Evaluation, Graph, Model
from kepipe.stages.evaluate import EVALUATE, EvaluateConfig, EvaluateInputs
from kepipe.stages.register import REGISTER, RegisterConfig, RegisterInputs, champion_score
from tests.support.world import World, make_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


def evaluate(world: World, name: str, config: EvaluateConfig, **knowledge: Graph) -> Evaluation:
    """A sealed evaluation beside its inputs, as in the store."""
    folder = world.shards.folder.parent / name
    context = StageContext(folder, folder.parent / f"{name}-scratch", 0, "cpu", lambda event: None)
    for place in (context.out, context.scratch):
        place.mkdir()
    inputs = EvaluateInputs(world.arms, world.linked, world.graph, world.shards, **knowledge)
    EVALUATE.run(inputs, config, context)
    named = {
        slot: value if isinstance(value, tuple) else [value] for slot, value in vars(inputs).items() if value
    }
    seal(folder, cache_key_inputs(Node("evaluate", EVALUATE, config, {}), 0, named), "test-run")
    return Evaluation.open(folder, "evaluate")


@pytest.fixture(scope="module")
def evaluation(world: World) -> Evaluation:
    return evaluate(world, "evaluation", EvaluateConfig(context=48, max_mentions=30))


def run(model: Model, evaluation: Evaluation, folder: Path, **settings: Any) -> list[Event]:
    events: list[Event] = []
    context = StageContext(folder, folder, 0, "cpu", events.append, {"run": "r", "stage": "register"})
    REGISTER.run(RegisterInputs(model, evaluation), RegisterConfig(**settings), context)
    return events


def test_the_offer(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    events = run(world.arms[0], evaluation, tmp_path, name="quickstart", gate={"minimum": 0.01})
    (offered,) = [event for event in events if isinstance(event, ModelOffered)]
    value = evaluation.scores().arms["pretrain"]["entity_cloze"]["mrr"].value
    assert offered.metrics["entity_cloze.mrr"] == value
    assert (offered.name, offered.digest) == ("quickstart", world.arms[0].digest)
    assert offered.gate["evaluation"] == str(evaluation.folder)
    written = json.loads((tmp_path / "offer.json").read_text())
    assert written["gate"] == {"metric": "entity_cloze.mrr", "better": "higher", "minimum": 0.01}
    assert str(world.arms[0].folder) not in (tmp_path / "offer.json").read_text()


def test_a_cached_offer_is_made_again(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    """The registry may have lost the model since; of a store that has it nothing changes."""
    events = run(world.arms[0], evaluation, tmp_path)
    config = REGISTER.config.model_validate({})
    events_again: list[Event] = []
    context = StageContext(tmp_path, tmp_path, 0, "cpu", events_again.append)
    REGISTER.repeat(REGISTER.inputs(world.arms[0], evaluation), config, context)
    (first,) = (event for event in events if isinstance(event, ModelOffered))
    (second,) = events_again
    assert isinstance(second, ModelOffered)
    assert (first.again, second.again) == (False, True)
    assert replace(second, again=False, at=first.at, run="r", stage="register") == first


def test_mistakes_are_explained(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no entity_cloze.mmr; it has .*entity_cloze.mrr"):
        run(world.arms[0], evaluation, tmp_path, gate={"metric": "entity_cloze.mmr"})
    stranger = Model(world.arms[0].folder, "d", name="other")
    with pytest.raises(ValueError, match="no scores of `other`; it has those of pretrain, control"):
        run(stranger, evaluation, tmp_path)


def test_a_champion_is_measured_as_the_evaluation_was(world: World, evaluation: Evaluation) -> None:
    for arm in world.arms:
        scores = evaluation.scores().arms[arm.name]
        again = champion_score(arm.folder, evaluation.folder, "entity_cloze.mrr")
        assert again == pytest.approx(scores["entity_cloze"]["mrr"].value)
    assert champion_score(world.arms[0].folder, evaluation.folder, "nothing.such") is None


def test_a_champion_is_given_the_knowledge_that_the_evaluation_gave(world: World) -> None:
    config = EvaluateConfig.model_validate({"context": 48, "max_mentions": 30, "knowledge": "k-bert"})
    with_triples = evaluate(world, "with-triples", config, graph=world.graph)
    loss = with_triples.scores().arms["pretrain"]["mlm_loss"]["tokens"].value
    again = champion_score(world.arms[0].folder, with_triples.folder, "mlm_loss.tokens")
    assert again == pytest.approx(loss)


def test_without_its_data_or_its_files_a_champion_is_not_measured(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    alone = tmp_path / "evaluation"
    alone.mkdir()
    (alone / "artifact.json").write_text((evaluation.folder / "artifact.json").read_text())
    assert champion_score(world.arms[0].folder, alone, "entity_cloze.mrr") is None
    assert champion_score(tmp_path, evaluation.folder, "entity_cloze.mrr") is None

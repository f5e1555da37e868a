"""The stage `register`: a reproducible offer, and the champion re-evaluated like the new model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.events import Event, ModelOffered
from kepipe.flow.plan import Node, cache_key_inputs
from kepipe.flow.stage import StageContext
from kepipe.inference import opening
from kepipe.stages.artifacts import Evaluation, FineTuned, Graph, Model
from kepipe.stages.champion import evaluate_pair
from kepipe.stages.evaluate import EVALUATE, EvaluateConfig, EvaluateInputs
from kepipe.stages.finetune import FINETUNE
from kepipe.stages.register import REGISTER, RegisterConfig, RegisterInputs
from tests.support.tasks import base_model, finetune, write_task
from tests.support.world import World, in_other_tokens, make_world


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


@pytest.fixture(scope="module")
def without_answers(evaluation: Evaluation) -> Path:
    """The evaluation without the models' answers, beside its inputs."""
    folder = evaluation.folder.with_name("without-answers")
    shutil.copytree(evaluation.folder, folder, ignore=shutil.ignore_patterns("answers"))
    return folder


def run(model: Model, evaluation: Evaluation | None, folder: Path, **settings: Any) -> list[Event]:
    events: list[Event] = []
    context = StageContext(folder, folder, 0, "cpu", events.append, {"run": "r", "stage": "register"})
    REGISTER.run(RegisterInputs(model, evaluation), RegisterConfig(**settings), context)
    return events


def test_register_offers_a_model_with_metrics_and_gate(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    events = run(world.arms[0], evaluation, tmp_path, name="quickstart", gate={"minimum": 0.01})
    (offered,) = [event for event in events if isinstance(event, ModelOffered)]
    value = evaluation.scores().arms["pretrain"]["entity_cloze"]["mrr"].value
    assert offered.metrics["entity_cloze/mrr"] == value
    assert (offered.name, offered.digest) == ("quickstart", world.arms[0].digest)
    assert offered.gate["evaluation"] == str(evaluation.folder)
    written = json.loads((tmp_path / "offer.json").read_text())
    assert written["gate"] == {"metric": "entity_cloze/mrr", "better": "higher", "minimum": 0.01}
    assert str(world.arms[0].folder) not in (tmp_path / "offer.json").read_text()


def test_cached_register_stage_repeats_its_offer(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    """The registry may have lost the model; if not, nothing changes."""
    events = run(world.arms[0], evaluation, tmp_path)
    config = REGISTER.config.model_validate({})
    events_again: list[Event] = []
    context = StageContext(tmp_path, tmp_path, 0, "cpu", events_again.append)
    REGISTER.on_cached(REGISTER.inputs(world.arms[0], evaluation), config, context)
    (first,) = (event for event in events if isinstance(event, ModelOffered))
    (second,) = events_again
    assert isinstance(second, ModelOffered)
    assert (first.again, second.again) == (False, True)
    assert replace(second, again=False, at=first.at, run="r", stage="register") == first


def test_invalid_gate_or_model_is_explained(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no score entity_cloze/mmr.*`entity_cloze/mrr`"):
        run(world.arms[0], evaluation, tmp_path, gate={"metric": "entity_cloze/mmr"})
    stranger = Model(world.arms[0].folder, "d", name="other")
    with pytest.raises(ValueError, match="no scores of `other`; it has those of pretrain, control"):
        run(stranger, evaluation, tmp_path)


def test_gate_without_a_metric_uses_the_first_probe(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    (offered,) = (
        event for event in run(world.arms[0], evaluation, tmp_path) if isinstance(event, ModelOffered)
    )
    assert (offered.gate["metric"], offered.gate["better"]) == ("entity_cloze/mrr", "higher")


def test_gate_metric_may_be_any_path_of_the_scores(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    metric = "entity_cloze/by_type/city/mrr"
    events = run(world.arms[0], evaluation, tmp_path, gate={"metric": metric})
    (offered,) = (event for event in events if isinstance(event, ModelOffered))
    assert (
        offered.metrics[metric]
        == evaluation.scores().arms["pretrain"]["entity_cloze"]["by_type/city/mrr"].value
    )
    events = run(world.arms[0], evaluation, tmp_path, gate={"metric": "mlm_loss/tokens"})
    (offered,) = (event for event in events if isinstance(event, ModelOffered))
    assert offered.gate["better"] == "lower"


def test_fine_tuned_model_is_offered_with_its_test_scores(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "classification", train=40, test=20)
    made = finetune(tmp_path / "work", base_model(tmp_path / "base"), "classification", data, epochs=1)
    node = Node(
        "finetune", FINETUNE, FINETUNE.config.model_validate({"task": "classification", "data": data}), {}
    )
    digest = seal(made.folder, cache_key_inputs(node, 0, {}), "test-run")
    model = FineTuned(made.folder, digest, name="finetune")
    (tmp_path / "offer").mkdir()
    (offered,) = (e for e in run(model, None, tmp_path / "offer") if isinstance(e, ModelOffered))
    assert offered.gate["metric"] == "test/accuracy"
    assert offered.metrics["test/accuracy"] == made.scores()["test"]["accuracy"].value
    assert "dev/accuracy" in offered.metrics
    data["test"] = write_task(tmp_path / "other", "classification", train=41, test=21)["test"]
    node = replace(node, config=FINETUNE.config.model_validate({"task": "classification", "data": data}))
    seal(made.folder, cache_key_inputs(node, 0, {}), "test-run")
    (other,) = (e for e in run(model, None, tmp_path / "offer") if isinstance(e, ModelOffered))
    assert other.gate["data"] != offered.gate["data"]


def test_champion_is_re_evaluated_like_the_evaluation(
    world: World, evaluation: Evaluation, without_answers: Path
) -> None:
    for arm in world.arms:
        scores = evaluation.scores().arms[arm.name]
        again = evaluate_pair(arm.folder, None, without_answers)
        assert again is not None
        assert again.champion["entity_cloze/mrr"] == pytest.approx(scores["entity_cloze"]["mrr"].value)


@pytest.mark.parametrize("with_answers", [True, False])
def test_champion_and_new_model_are_paired_by_case(
    world: World, evaluation: Evaluation, without_answers: Path, with_answers: bool
) -> None:
    """The differences are those that the evaluation finds between its arms, whether its answers are read or given
    again."""
    (difference,) = evaluation.scores().differences
    assert (difference.first, difference.second) == ("pretrain", "control")
    folder = evaluation.folder if with_answers else without_answers
    found = evaluate_pair(world.arms[1].folder, world.arms[0].folder, folder)
    assert found is not None
    for metric in ("entity_cloze/mrr", "mlm_loss/tokens", "entity_cloze/by_type/city/mrr"):
        probe, _, name = metric.partition("/")
        expected = difference.scores[probe][name]
        assert found.differences[metric].value == pytest.approx(expected.value)
        assert (found.differences[metric].low, found.differences[metric].cases) == (
            pytest.approx(expected.low), expected.cases,
        )  # fmt: skip
    assert found.unpaired == ""


def test_a_model_is_opened_only_if_the_evaluation_lacks_its_answers(
    world: World, evaluation: Evaluation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, real = [], opening.open_model

    def note(folder: Path, *args: Any, **options: Any) -> opening.OpenedModel:
        opened.append(folder)
        return real(folder, *args, **options)

    monkeypatch.setattr(opening, "open_model", note)
    first, second = (arm.folder for arm in world.arms)
    expected = evaluate_pair(first, second, evaluation.folder)
    assert opened == []
    damaged = evaluation.folder.with_name("damaged-answers")
    shutil.copytree(evaluation.folder, damaged)
    answers = damaged / "answers" / f"{world.arms[0].digest[:16]}-mlm_loss.npz"
    answers.write_bytes(answers.read_bytes()[:-1])
    assert evaluate_pair(first, second, damaged) == expected
    assert opened == [first]
    earlier = evaluation.folder.with_name("earlier-version")
    shutil.copytree(evaluation.folder, earlier)
    manifest = (earlier / "artifact.json").read_text()
    assert f'"version": {EVALUATE.version}' in manifest
    (earlier / "artifact.json").write_text(manifest.replace(f'"version": {EVALUATE.version}', '"version": 1'))
    assert evaluate_pair(first, second, earlier) == expected
    assert opened == [first, first, second]
    opened.clear()
    other = tmp_path / "model"  # not an arm: a copy of its folder without a manifest
    shutil.copytree(first, other, ignore=shutil.ignore_patterns("artifact.json"))
    assert evaluate_pair(other, second, evaluation.folder) == expected
    assert opened == [other]


def test_models_with_other_tokenizers_are_paired_on_equal_cases(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    other = in_other_tokens(world, tmp_path / "other")
    found = evaluate_pair(world.arms[0].folder, other, evaluation.folder)
    assert found is not None
    assert found.differences["entity_cloze/mrr"].cases > 10
    assert "mlm_loss/tokens" not in found.differences
    assert found.unpaired == "its tokenizer differs from the champion's"


def test_gate_conditions_get_metrics_and_costs(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    conditions = [
        {"condition": "no-worse", "metric": "entity_cloze/by_type/*/mrr", "by": 0.1},
        {"condition": "size", "most": 50},
        {"condition": "latency", "p95": 5000},
        {"condition": "memory", "most": 8000},
    ]
    events = run(
        world.arms[0], evaluation, tmp_path, gate={"conditions": conditions}, card={"license": "MIT"}
    )
    (offered,) = (event for event in events if isinstance(event, ModelOffered))
    measured = evaluation.scores().arms["pretrain"]["entity_cloze"]
    assert offered.metrics["entity_cloze/by_type/city/mrr"] == measured["by_type/city/mrr"].value
    files = [file for file in world.arms[0].folder.rglob("*") if file.is_file()]
    assert offered.metrics["cost/size"] == pytest.approx(sum(file.stat().st_size for file in files) / 1e6)
    assert 0 < offered.metrics["cost/latency_p95"] < 60_000
    assert 50 < offered.metrics["cost/memory"] < 8000
    assert offered.tags["kepipe.card.license"] == "MIT"
    assert [each["condition"] for each in offered.gate["conditions"]] == [
        "no-worse",
        "size",
        "latency",
        "memory",
    ]
    wrong = {"conditions": [{"condition": "no-worse", "metric": "entity_cloze/by_sort/*/mrr", "by": 0.1}]}
    with pytest.raises(ValueError, match=r"has no score entity_cloze/by_sort/\*/mrr"):
        run(world.arms[0], evaluation, tmp_path, gate=wrong)


def test_champion_is_re_evaluated_with_the_same_knowledge(world: World) -> None:
    config = EvaluateConfig.model_validate({"context": 48, "max_mentions": 30, "knowledge": "k-bert"})
    with_triples = evaluate(world, "with-triples", config, graph=world.graph)
    loss = with_triples.scores().arms["pretrain"]["mlm_loss"]["tokens"].value
    again = evaluate_pair(world.arms[0].folder, None, with_triples.folder)
    assert again is not None
    assert again.champion["mlm_loss/tokens"] == pytest.approx(loss)


def test_champion_without_data_or_files_is_not_re_evaluated(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    alone = tmp_path / "evaluation"
    alone.mkdir()
    (alone / "artifact.json").write_text((evaluation.folder / "artifact.json").read_text())
    assert evaluate_pair(world.arms[0].folder, None, alone) is None
    assert evaluate_pair(tmp_path, None, evaluation.folder) is None

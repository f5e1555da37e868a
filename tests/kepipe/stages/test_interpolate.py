"""The stage `interpolate`: mixtures of language models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.inference.opening import open_model, read_config
from kepipe.stages.artifacts import Model, Shards
from kepipe.stages.interpolate import INTERPOLATE, InterpolateConfig, InterpolateInputs
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig, PretrainInputs
from tests.support.conflicts import error_message
from tests.support.pretraining import SMALL
from tests.support.stages import run_stage


@pytest.fixture(scope="module")
def members(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, ...]:
    found = []
    bases = {
        "ngram": {"family": "ngram", "order": 3},
        "nnlm": {"family": "nnlm", "embedding": 8, "hidden": 8},
    }
    for name, base in bases.items():
        place = tmp_path_factory.mktemp(name)
        settings = {"base": base} if name == "ngram" else SMALL | {"base": base, "objective": "causal-lm"}
        run_stage(PRETRAIN, PretrainInputs(shards), PretrainConfig.model_validate(settings), place)
        found.append(Model(place / "out", "digest", name=name))
    return tuple(found)


def mixed(members: tuple[Model, ...], folder: Path, **settings: object) -> Path:
    run_stage(INTERPOLATE, InterpolateInputs(members), InterpolateConfig.model_validate(settings), folder)
    return folder / "out"


@pytest.mark.parametrize(("settings", "weights"), [({}, (0.5, 0.5)), ({"weights": [1, 3]}, (0.25, 0.75))])
def test_interpolation_of_n_gram_model_and_network_mixes_probabilities(
    settings: dict[str, object], weights: tuple[float, ...], members: tuple[Model, ...], tmp_path: Path
) -> None:
    folder = mixed(members, tmp_path, **settings)
    assert read_config(folder).capabilities == {"language-model"}
    model = open_model(folder).language_model
    assert model is not None
    prompts, targets = [np.array([40, 41, 42])], [np.array([43, 44]), np.array([50])]
    each = [open_model(member.folder).language_model for member in members]
    likelihoods = [np.exp(one.log_likelihoods(prompts, [0, 0], targets)) for one in each if one is not None]
    expected = sum(weight * found for weight, found in zip(weights, likelihoods, strict=True))
    np.testing.assert_allclose(np.exp(model.log_likelihoods(prompts, [0, 0], targets)), expected)


def test_interpolation_folder_can_be_moved_and_generates(members: tuple[Model, ...], tmp_path: Path) -> None:
    folder = mixed(members, tmp_path)
    moved = folder.rename(tmp_path / "elsewhere")
    written = CliRunner().invoke(app, ["generate", str(moved), "river castle", "--limit", "3"])
    assert written.exit_code == 0, written.output
    assert written.output.startswith("river castle")


def test_interpolation_is_exported_member_by_member(members: tuple[Model, ...], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    folder = mixed(members, tmp_path, weights=[1, 3])
    done = CliRunner().invoke(app, ["export", str(folder), str(tmp_path / "exported")])
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    weights = json.loads((tmp_path / "exported" / "interpolation.json").read_text())["weights"]
    assert list(weights.values()) == [0.25, 0.75]
    counted, network = (tmp_path / "exported" / member for member in weights)
    assert (counted / "model.arpa.gz").is_file()
    assert (network / "model.onnx").is_file()


def test_models_with_different_tokenizers_are_rejected(members: tuple[Model, ...], tmp_path: Path) -> None:
    from kepipe.files import link_or_copy

    for file in members[0].folder.iterdir():
        link_or_copy(file, tmp_path / "other" / file.name)
    tokenizer = tmp_path / "other" / "tokenizer.json"
    text = tokenizer.read_text()
    tokenizer.unlink()
    tokenizer.write_text(text.replace("river", "rivir"))
    other = Model(tmp_path / "other", "digest", name="other")
    with pytest.raises(ValueError, match="`other` and `ngram` have different tokenizers"):
        mixed((members[0], other), tmp_path / "stage")


TWO = "  one: {use: pretrain, base: {family: ngram}}\n  two: {use: pretrain, base: {family: glove}}\n"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (f"{TWO}  interpolate: {{inputs: {{members: [one, two]}}}}\n", "`two` is not a language model"),
        (f"{TWO}  interpolate: {{inputs: {{members: [one]}}}}\n", "give two or more models"),
        ("  one: {use: pretrain, base: {family: ngram}}\n  interpolate: {}\n", "give two or more models"),
        (f"{TWO}  interpolate: {{}}\n", "`two` is not a language model"),
        (
            f"{TWO}  interpolate: {{weights: [1], inputs: {{members: [one, one]}}}}\n",
            "`stages.interpolate.weights`: expected 2 numbers above 0",
        ),
    ],
)
def test_incompatible_members_are_reported_first(stages: str, message: str, tmp_path: Path) -> None:
    assert message in error_message(tmp_path, stages)


def test_evaluate_takes_an_interpolation_as_an_arm(tmp_path: Path) -> None:
    from kepipe.pipeline import load

    (tmp_path / "p.yaml").write_text(
        "name: p\nstages:\n  one: {use: pretrain, base: {family: ngram}}\n  two: {like: one, base: {order: 2}}\n"
        "  interpolate: {}\n  evaluate: {}\n"
    )
    nodes = {node.name: node for node in load(tmp_path / "p.yaml")[0].nodes}
    assert nodes["interpolate"].inputs["members"] == ["one", "two"]
    assert nodes["evaluate"].inputs["arms"] == ["one", "two", "interpolate"]

"""`kepipe generate`: options and models that are rejected."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.finetuning.predictor import Predictor
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.static.config import StaticConfig
from tests.support.tasks import base_model, finetune, write_task


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--temperature", "0"],
            "temperature 0: expected above 0; for greedy decoding, leave out",
        ),
        (["--temperature", "-1"], "temperature -1: expected above 0"),
        (
            ["--top-p", "0"],
            "top-p 0: expected above 0 and at most 1",
        ),
    ],
)
def test_invalid_sampling_options_are_rejected(flags: list[str], message: str) -> None:
    ended = CliRunner().invoke(app, ["generate", "no-such-model", "a rose", *flags])
    assert ended.exit_code == 2
    assert message in " ".join(ended.output.replace("│", " ").split())


def test_masked_model_is_rejected_before_it_is_opened() -> None:
    ended = CliRunner().invoke(app, ["generate", "minilm", "a rose"])
    assert isinstance(ended.exception, ValueError)
    message = str(ended.exception)
    assert message.startswith("minilm fills masks and does not generate; models of gpt2, bart, t5, t5-v1.1, ")
    assert message.endswith(
        "ngram do, and with --prompt-style mask an encoder that was pretrained with `unilm`"
    )


def test_word_vectors_are_rejected_for_generation(tmp_path: Path) -> None:
    config = StaticConfig(family="word2vec", vocabulary=9, hidden=4)
    (tmp_path / "config.json").write_text(json.dumps({"format": config.format, **config.to_json()}))
    ended = CliRunner().invoke(app, ["generate", str(tmp_path), "a rose"])
    assert str(ended.exception).startswith(f"{tmp_path} does not generate; models of gpt2, ")


@pytest.mark.parametrize(
    ("family", "prompt_style", "message"),
    [
        ("gpt2", "infill", "has a decoder alone; it supports `--prompt-style append`"),
        ("bart", "prefix", "has an encoder as well; it supports `--prompt-style infill`"),
        ("bart", "mask", "has an encoder as well; it supports `--prompt-style infill`"),
    ],
)
def test_prompt_style_of_another_family_is_rejected(
    family: str, prompt_style: str, message: str, tmp_path: Path
) -> None:
    base = Base.model_validate({"family": family, "layers": 1, "hidden": 32, "heads": 2})
    folder.save(tmp_path, build(base, 50, 0))
    ended = CliRunner().invoke(app, ["generate", str(tmp_path), "a rose", "--prompt-style", prompt_style])
    assert str(ended.exception) == f"--prompt-style {prompt_style}: {tmp_path} {message}"


def test_bert_that_learned_to_write_continues_a_text_as_it_answers(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "text-to-text", 100, 10)
    generation = {"max_new_tokens": 8, "num_beams": 2}
    start = base_model(tmp_path / "base")
    tuned = finetune(tmp_path / "work", start, "text-to-text", data, generation=generation, epochs=2).folder
    text = "we saw a lovely day"
    (answer,) = Predictor.open(tuned).predict([text])
    options = ["--beams", "2", "--limit", "8"]
    ended = CliRunner().invoke(app, ["generate", str(tuned), text, *options])
    assert ended.exit_code == 0, ended.output
    assert ended.stdout.split() == [*text.split(), *answer["predicted"].split()]
    # of the base, nobody knows whether it can
    refused = CliRunner().invoke(app, ["generate", str(start.folder), text])
    assert "fills masks and does not generate" in str(refused.exception)
    asked = CliRunner().invoke(app, ["generate", str(start.folder), text, "--prompt-style", "mask"])
    assert asked.exit_code == 0, asked.output
    other = CliRunner().invoke(app, ["generate", str(start.folder), text, "--prompt-style", "infill"])
    assert "is an encoder alone" in str(other.exception)
    informed = CliRunner().invoke(app, ["generate", str(tuned), text, "--knowledge", "triples-as-text"])
    assert "is an encoder, which has no knowledge before a prompt" in str(informed.exception)


def test_parent_folder_of_a_model_suggests_the_model(tmp_path: Path) -> None:
    (tmp_path / "pretrain").mkdir()
    (tmp_path / "pretrain" / "config.json").write_text("{}")
    ended = CliRunner().invoke(app, ["generate", str(tmp_path), "a rose"])
    assert f"did you mean `{tmp_path / 'pretrain'}`?" in str(ended.exception)

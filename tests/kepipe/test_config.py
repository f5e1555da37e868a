"""Settings: located errors, overrides, fields outside the cache key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pytest
from pydantic import Discriminator, Field, ValidatorFunctionWrapHandler, WrapValidator

from kepipe.config import (
    ConfigError,
    Section,
    UserPath,
    UserSource,
    cache_key_fields,
    merge,
    override,
    read,
    runtime_only,
    validate,
)


class Optimiser(Section):
    renamed: ClassVar[Mapping[str, str]] = {"speed": "rate", "decay": "it is part of `kind` now"}

    rate: float = Field(0.1, ge=0)
    kind: Literal["adam", "sgd"] = "adam"


class TrainingSettings(Section):
    steps: int = 10
    optimiser: Optimiser = Optimiser()
    workers: int = runtime_only(2)
    betas: tuple[float, float] = (0.9, 0.98)
    seeds: Annotated[int, Field(ge=1)] | list[int] | None = None
    trace: bool | int = False


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    return file


def test_unknown_key_is_rejected_with_line_and_suggestion(tmp_path: Path) -> None:
    settings = read(written(tmp_path, "steps: 3\noptimiser:\n  rte: 0.5\n"))
    with pytest.raises(ConfigError, match=r"p\.yaml:3: unknown key `optimiser\.rte`; did you mean `rate`\?"):
        validate(TrainingSettings, settings.data, settings)


class Longer(TrainingSettings):
    renamed: ClassVar[Mapping[str, str]] = {"updates": "steps"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("updates: 3", "p.yaml:1: `updates` is now called `steps`"),
        ("optimiser: {speed: 3}", "p.yaml:1: `optimiser.speed` is now called `rate`"),
        ("optimiser:\n  decay: 3", "p.yaml:2: `optimiser.decay`: it is part of `kind` now"),
        ("speed: 3", "p.yaml:1: unknown key `speed`"),
    ],
)
def test_former_key_is_reported_with_its_new_name(tmp_path: Path, text: str, message: str) -> None:
    settings = read(written(tmp_path, text))
    with pytest.raises(ConfigError) as caught:
        validate(Longer, settings.data, settings)
    assert message in str(caught.value)


def test_assignment_to_a_former_key_is_reported_with_its_new_name(tmp_path: Path) -> None:
    settings = override(read(written(tmp_path, "steps: 3")), ["optimiser.speed=1"])
    with pytest.raises(ConfigError, match=r"`optimiser\.speed` is now called `rate`"):
        validate(Longer, settings.data, settings)


def test_boolean_is_accepted_in_a_union_with_int(tmp_path: Path) -> None:
    settings = read(written(tmp_path, "trace: true\n"))
    assert validate(TrainingSettings, settings.data, settings).trace is True


def test_all_config_errors_are_listed_with_lines(tmp_path: Path) -> None:
    settings = read(written(tmp_path, "steps: many\noptimiser:\n  kind: lbfgs\n"))
    with pytest.raises(ConfigError) as caught:
        validate(TrainingSettings, settings.data, settings)
    first, second = str(caught.value).splitlines()
    assert "p.yaml:1: `steps`" in first
    assert "'many'" in first
    assert "p.yaml:3: `optimiser.kind`" in second


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: many", "`steps`: expected a whole number, found 'many'"),
        ("steps:", "`steps`: expected a whole number, found None"),
        ("steps: true", "`steps`: expected a number, found True"),
        ("steps: on", "`steps`: expected a number, found True"),
        ("optimiser: {rate: no}", "`optimiser.rate`: expected a number, found False"),
        ("optimiser: {rate: .inf}", "`optimiser.rate`: expected a finite number, found inf"),
        ("betas: [0.9, true]", "`betas`: expected a number, found [0.9, True]"),
        ("seeds: true", "`seeds`: expected a number, found True"),
        ("optimiser: adam", "`optimiser`: expected settings (`key: value`), found 'adam'"),
        ("optimiser: {rate: fast}", "`optimiser.rate`: expected a number, found 'fast'"),
        ("optimiser: {rate: -1}", "`optimiser.rate`: expected a number from 0, found -1"),
        ("optimiser: {kind: adm}", "expected 'adam' or 'sgd', found 'adm'; did you mean `adam`?"),
        ("optimiser: {kind: lbfgs}", "expected 'adam' or 'sgd', found 'lbfgs'"),
    ],
)
def test_invalid_value_is_explained(tmp_path: Path, text: str, message: str) -> None:
    settings = read(written(tmp_path, text))
    with pytest.raises(ConfigError) as caught:
        validate(TrainingSettings, settings.data, settings)
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [1,\n", r"p\.yaml:\d: not valid YAML"),
        ("steps: 1\nsteps: 2\n", r"p\.yaml:2: `steps` is set twice, first on line 1"),
        ("- a\n- b\n", r"p\.yaml:1: expected `key: value` lines"),
        ("optimiser:\n\trate: 1\n", r"p\.yaml:2: not valid YAML: a tab; lines are indented by spaces"),
        ("steps: 1\nrate:2\nkind: x\n", r"p\.yaml:2: not valid YAML: expected `key: value`, with a space"),
        ("a:\n  b: 1\n c: 2\n", r"p\.yaml:3: not valid YAML: expected the indentation of the lines since 1"),
        ("a: {b: 1\nc: 2\n", r"p\.yaml:2: .*: what a bracket opens on line 1 is not closed before this"),
        (
            "a:\n  steps: !!python/object/apply:os.system ['true']\n",
            r"p\.yaml:2: `a\.steps`: could not determine",
        ),
        (
            "a:\n  seed: 2001-99-99\n",
            r"p\.yaml:2: `a\.seed`: expected a date, found 2001-99-99; in quotes it is a text",
        ),
        ("a: 1\n2001-99-99: 2\n", r"p\.yaml:2: expected a date, found 2001-99-99"),
        ("a: [1,\n  2001-99-99]\n", r"p\.yaml:2: `a\.1`: expected a date"),
        (
            f"a: 1\nseed: {'1' * 100_000}\n",
            r"p\.yaml:2: `seed`: expected a whole number, found 1{40}…; in quotes",
        ),
        (f"a: 1\nseed: 0x{'f' * 100_000}\n", r"p\.yaml:2: `seed`: expected a whole number, found 0xf{38}…"),
        (f"a: {'1:' * 600}1.5\n", r"p\.yaml:1: `a`: expected a number, found 1:1:"),
        ("a: !!int x\n", r"p\.yaml:1: `a`: expected a whole number, found x$"),
        ("a: !!int ''\n", r"p\.yaml:1: `a`: expected a whole number, found ''$"),
        ("a: !!bool maybe\n", r"p\.yaml:1: `a`: expected true or false, found maybe"),
        ("a: !!timestamp soon\n", r"p\.yaml:1: `a`: expected a date, found soon"),
        ("a: !!binary é\n", r"p\.yaml:1: `a`: failed to convert"),
        ("a: !!omap {b: 1}\n", r"p\.yaml:1: `a`: expected a sequence"),
        ("a:\n  <<: 3\n", r"p\.yaml:2: `a\.<<`: expected a mapping"),
        ("a: =\n", r"p\.yaml:1: `a`: could not determine"),
        ('a: "\\ud83d"\n', r"p\.yaml:1: `a`: .* half of a surrogate pair"),
        ('a: !!omap [b: "\\ud83d"]\n', r"p\.yaml:1: `a`: '\\ud83d' has half of a surrogate pair"),
        ('a: !!set {"\\ud83d"}\n', r"p\.yaml:1: `a`: '\\ud83d' has half of a surrogate pair"),
        ('? [x, "\\ud83d"]\n: 1\n', r"p\.yaml:1: '\\ud83d' has half of a surrogate pair"),
    ],
)
def test_invalid_config_files_are_rejected_with_lines(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(written(tmp_path, text))


def test_missing_and_binary_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: no such file"):
        read(tmp_path / "none.yaml")
    file = tmp_path / "binary.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not a UTF-8 text file"):
        read(file)


def test_assignments_override_values_and_create_groups(tmp_path: Path) -> None:
    settings = override(
        read(written(tmp_path, "steps: 3\n")), ["optimiser.rate=0.5", "steps=7", "optimiser.kind=sgd"]
    )
    training = validate(TrainingSettings, settings.data, settings)
    assert (training.steps, training.optimiser.rate, training.optimiser.kind) == (7, 0.5, "sgd")


@pytest.mark.parametrize("bad", ["steps", "=3", "steps.deep=1", "steps=[1"])
def test_invalid_assignments_are_rejected(tmp_path: Path, bad: str) -> None:
    reason = r"`steps` is 3, not a group .* --set 'steps=\{key: value" if "deep" in bad else "--set"
    with pytest.raises(ConfigError, match=reason):
        override(read(written(tmp_path, "steps: 3\n")), [bad])


def test_merge_is_recursive_and_keeps_the_base_unchanged() -> None:
    base = {"a": {"x": 1, "y": 2}, "b": 3}
    assert merge(base, {"a": {"y": 5}, "c": 6}) == {"a": {"x": 1, "y": 5}, "b": 3, "c": 6}
    assert base == {"a": {"x": 1, "y": 2}, "b": 3}


def test_runtime_only_fields_are_not_in_the_cache_key() -> None:
    assert cache_key_fields(TrainingSettings(workers=8)) == cache_key_fields(TrainingSettings(workers=1))
    assert cache_key_fields(TrainingSettings(steps=3)) != cache_key_fields(TrainingSettings(steps=4))


def test_user_path_is_relative_to_the_file_and_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Source(Section):
        path: UserPath

    (tmp_path / "data").mkdir()
    monkeypatch.setenv("WHERE", str(tmp_path))
    settings = read(written(tmp_path, "path: x\n"))
    assert validate(Source, {"path": "data"}, settings).path == tmp_path / "data"
    assert validate(Source, {"path": "$WHERE/data"}, settings).path == tmp_path / "data"
    with pytest.raises(ConfigError, match=r"p\.yaml:1: `path`: no such file or folder"):
        validate(Source, {"path": "missing"}, settings)
    with pytest.raises(ConfigError, match="environment variable that is not set"):
        validate(Source, {"path": "$SURELY_NOT_SET/data"}, settings)


def test_source_is_a_user_path_or_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Start(Section):
        source: UserSource

    settings = read(written(tmp_path, "source: minilm\n"))

    def opened(text: str) -> str:
        return validate(Start, {"source": text}, settings).source

    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("[PAD]\n")
    monkeypatch.setenv("HERE", str(tmp_path))
    assert opened("minilm") == "minilm"
    assert opened("google-bert/bert-base-chinese") == "google-bert/bert-base-chinese"
    assert opened("$HERE/vocab.txt") == opened("./vocab.txt") == opened("vocab.txt") == str(vocabulary)
    with pytest.raises(ConfigError, match="no such file or folder"):
        opened("$HERE/other.txt")


def test_merged_yaml_group_is_overridden_by_explicit_keys(tmp_path: Path) -> None:
    text = "steps: 1\nbase: &base {rate: 0.5, kind: sgd}\noptimiser: {<<: *base, rate: 0.25}\n"
    settings = read(written(tmp_path, text))
    assert settings.data["optimiser"] == {"rate": 0.25, "kind": "sgd"}


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]\n" for level in range(1, 10)
)
MERGED = "a0: &a0 {k: 1}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}], k{level}: 1}}\n"
    for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, r"p\.yaml:6: `a5`: with its aliases this stands for more than 1,000,000 values: refused"),
        (
            MERGED,
            r"p\.yaml:7: `a6\.<<`: with its aliases this stands for more than 1,000,000 values: refused",
        ),
        ("name: x\nstages: &s {link: *s}\n", r"p\.yaml:2: `stages\.link`: an alias of what it stands in"),
        ("seeds: &a [*a]\n", r"p\.yaml:1: `seeds\.0`: an alias of what it stands in, which begins on this"),
        ("a: " + "{a: " * 150 + "1" + "}" * 150, r"p\.yaml:1: `a\.a\.a\.a\.…`: nested more than 100 deep"),
        ("a: " + "{a: " * 3000 + "1" + "}" * 3000, r"p\.yaml:1: nested more than 100 deep"),
        ("a: 1\nb: " + "[" * 100_000, r"p\.yaml:2: nested more than 100 deep"),
        ("a: 1\nname: x\0\n", r"p\.yaml:2: not valid YAML: the character U\+0000"),
    ],
)
def test_yaml_bombs_are_rejected(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "p.yaml")


def test_small_yaml_aliases_are_read(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: &a {k: 1}\nb: [*a, *a]\nc: {<<: *a, l: 2}\n")
    assert read(tmp_path / "p.yaml").data == {"a": {"k": 1}, "b": [{"k": 1}, {"k": 1}], "c": {"k": 1, "l": 2}}


def test_config_that_is_a_pipe_or_device_is_rejected(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for file in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(ValueError, match="expected a file, found a"):
            read(file)


def test_assignment_bombs_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("a: 1\n")
    for value, reason in (("[" * 100_000, "nested more than 100"), ("&a [*a]", "`0`: an alias of")):
        with pytest.raises(ConfigError) as error:
            override(read(tmp_path / "p.yaml"), [f"a={value}"])
        assert str(error.value).startswith(f"--set a={value}: {reason}")


def test_values_with_a_tag_are_read_and_shown_whole(tmp_path: Path) -> None:
    settings = read(written(tmp_path, "steps: !!omap [a: [1, 2]]\n? [x, y]\n: 3\n"))
    assert settings.data == {"steps": [("a", [1, 2])], "['x', 'y']": 3}
    with pytest.raises(ConfigError, match=r"p\.yaml:1: `steps`: .*, found \[\('a', \[1, 2\]\)\]"):
        validate(TrainingSettings, settings.data, settings)


class Bert(Section):
    family: Literal["bert", "gpt2"] = "bert"
    hidden: int = 4


class Glove(Section):
    family: Literal["glove"] = "glove"
    alpha: float = 0.75


class Causal(Section):
    name: Literal["causal-lm"] = "causal-lm"


class Permutation(Section):
    name: Literal["permutation-lm"] = "permutation-lm"
    partial: int = 6


def of_family(value: Any, _: ValidatorFunctionWrapHandler) -> Bert | Glove:
    return (Glove if value.get("family") == "glove" else Bert).model_validate(value)


class Named(Section):
    base: Annotated[Bert | Glove, WrapValidator(of_family)] = Bert()
    objective: Annotated[Causal | Permutation, Discriminator("name")] = Causal()


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("base: {family: gpt2, alpha: 3}", ["p.yaml:1: unknown key `base.alpha`; known: family, hidden"]),
        ("base: {hiddn: 3}", ["p.yaml:1: unknown key `base.hiddn`; did you mean `hidden`?"]),
        (
            "objective: {name: permutation-lm, parts: 3}",
            ["p.yaml:1: unknown key `objective.parts`; did you mean `partial`?"],
        ),
        (
            "objective: {name: permutation-lm, partial: many}",
            ["p.yaml:1: `objective.partial`: expected a whole number, found 'many'"],
        ),
    ],
)
def test_error_of_a_union_names_the_selected_kind(tmp_path: Path, text: str, messages: list[str]) -> None:
    settings = read(written(tmp_path, text))
    with pytest.raises(ConfigError) as caught:
        validate(Named, settings.data, settings)
    assert str(caught.value).splitlines() == [str(tmp_path / message) for message in messages]

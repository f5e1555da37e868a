"""Inspection of a pipeline's data before it runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.pipeline import load
from kepipe.pipeline.inspection import inspect
from tests.support.own_data import write_project


@pytest.mark.parametrize(("language", "other"), [("zh", "en"), ("en", "zh")])
def test_text_in_another_language_than_configured_is_reported(
    tmp_path: Path, language: str, other: str
) -> None:
    file = write_project(tmp_path, language)
    assert list(inspect(load(file)[0])) == []
    (warning,) = inspect(load(file, [f"stages.link.language={other}"])[0])
    assert warning.startswith(f"link: `language: {other}`, but the text looks like `{language}`")


def test_corpus_of_one_document_is_warned_about(tmp_path: Path) -> None:
    one, good = write_project(tmp_path / "one", "en"), write_project(tmp_path / "good", "en")
    for text in list((tmp_path / "one" / "texts").iterdir())[1:]:
        text.unlink()
    done = CliRunner().invoke(app, ["config", "check", str(one), str(good)])
    assert done.exit_code == 0
    assert f"{one}: warning: corpus: the whole text is one document" in done.output
    assert f"{good}: valid" in done.output
    (tmp_path / "bad.yaml").write_text("name: bad\nstages: {link: {langauge: zh}}\n")
    done = CliRunner().invoke(app, ["config", "check", str(tmp_path / "bad.yaml"), str(good)])
    assert done.exit_code == 2
    assert "did you mean `language`" in done.output
    assert f"{good}: valid" in done.output


@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_stages_of_arms_and_seeds_are_counted() -> None:
    done = CliRunner().invoke(app, ["config", "check", "k-bert"])
    valid = next(line for line in done.output.splitlines() if ": valid; stages graph, " in line)
    assert re.search(r", study; \d+ for arms and seeds$", valid)
    assert ".0" not in valid

"""What `kepipe generate` says before it opens a model."""

import pytest
from typer.testing import CliRunner

from kepipe.cli import app


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (
            ["--temperature", "0"],
            "--temperature 0: expected above 0; the likeliest tokens are what you get without",
        ),
        (["--temperature", "-1"], "--temperature -1: expected above 0"),
        (
            ["--top-p", "0"],
            "--top-p 0: expected above 0; the likeliest tokens are what you get without --top-p",
        ),
    ],
)
def test_no_temperature_and_no_share_of_nothing(flags: list[str], said: str) -> None:
    ended = CliRunner().invoke(app, ["generate", "no-such-model", "a rose", *flags])
    assert ended.exit_code == 2
    assert said in " ".join(ended.output.replace("│", " ").split())

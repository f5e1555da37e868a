"""The tutorial about a platform, followed: a server that is down, a schedule, a gate, and predictions by name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from tests.support.own_data import TINY_BASE
from tests.support.tutorials import Tutorial

SMALLER = (
    f"stages.pretrain.base={{{', '.join(f'{key}: {value}' for key, value in TINY_BASE.items())}}}",
    "stages.pretrain.steps=4",
    "stages.shards.tokenizer.size=600",
    "stages.evaluate.probes=[mlm-loss]",
)
TEXT = "Voyager flew past Neptune and its moon Triton in 1989. Geysers rose from Triton. Neptune was blue."


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("platform")
    with pytest.MonkeyPatch.context() as patch:

        def server_is_back() -> None:
            """The store of the server."""
            assert not Path("workspace/mlflow.db").exists()
            patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder}/server.db")

        def text_arrives() -> None:
            Path("project/texts/voyager.txt").write_text(TEXT)

        def deliver() -> None:
            assert CliRunner().invoke(app, ["track", "sync"]).exit_code == 0

        before = {
            "kepipe track sync": server_is_back,
            "kepipe schedule run-now": text_arrives,
            "kepipe models list": deliver,
        }
        tutorial = Tutorial(
            "platform", dict.fromkeys(("project/gated.yaml", "project/pipeline.yaml"), SMALLER), before
        )
        patch.setenv("OMP_NUM_THREADS", "1")
        tutorial.follow(folder, patch)
        yield tutorial


def listed(followed: Tutorial, number: int) -> dict[int, list[str]]:
    """Version → its aliases, as the n-th `kepipe models list` shows them."""
    outputs = [output for command, output in followed.typed if command.startswith("kepipe models list")]
    lines = re.finditer(r"^gated +(\d+)  \S+ \S+  (.{22})", outputs[number], re.MULTILINE)
    return {int(line[1]): line[2].split() for line in lines}


def test_pending_runs_are_delivered_and_the_first_model_is_champion(followed: Tutorial) -> None:
    assert "delivered" in followed.output_of("kepipe track sync")
    assert listed(followed, 0) == {1: ["challenger", "champion"]}


def test_new_text_registers_a_version_for_the_gate(followed: Tutorial) -> None:
    assert "gated finished" in followed.output_of("kepipe schedule run-now")
    both = listed(followed, 1)
    assert set(both) == {1, 2}
    assert "challenger" in both[2]
    assert sum("champion" in aliases for aliases in both.values()) == 1
    assert followed.output_of("kepipe models promote") == "gated version 2 is champion\n"
    assert followed.output_of("kepipe models rollback") == "gated version 1 is champion again\n"


def test_both_ways_to_predict_give_the_same_token(followed: Tutorial) -> None:
    (token,) = followed.names["answer"]["predicted"]
    table = followed.names["served"].predict(["The largest moon of Saturn is [MASK]."])
    assert table["prediction"][0] == token
    assert table["probability"][0] == pytest.approx(followed.names["answer"]["masks"][0][0]["probability"])

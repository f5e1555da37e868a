"""The page about retraining, followed: runs by the clock, by new text and by drift; promotion, refusal, rollback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.cli.schedule_options import TriggerOptions
from kepipe.drift.table import MEASURES
from kepipe.flow import scheduler, schedules
from kepipe.flow.notices.table import CHANNELS
from kepipe.flow.triggers.table import TRIGGERS
from kepipe.tracking.conditions.table import CONDITIONS
from kepipe.tracking.store import connect
from tests.support.tutorials import Tutorial

PAGE = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text(encoding="utf-8")
TEXT = "Voyager flew past Neptune and its moon Triton in 1989. Geysers rose from Triton. Neptune was blue."
REVIEW = "a dull film with wooden actors, number {0}. the jokes fall flat, the {1} drags, and nobody laughs at all."
NOUNS = (
    "plot",
    "ending",
    "hero",
    "score",
    "chase",
    "romance",
    "sequel",
    "villain",
    "dialogue",
    "camera",
    "cut",
    "set",
)


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tutorial]:
    folder = tmp_path_factory.mktemp("retraining")
    with pytest.MonkeyPatch.context() as patch:
        passes = iter(range(9))

        def two_o_clock() -> None:
            with schedules.open_store(Path("workspace")) as store:
                store.set_next("nightly", datetime.now().astimezone() - timedelta(seconds=1))

        def something_happens() -> None:
            """Before each `kepipe scheduler --once`."""
            number = next(passes)
            if number == 0:
                two_o_clock()
            if number == 3:
                Path("project/texts/voyager.txt").write_text(TEXT)

        def reviews_arrive() -> None:
            Path("project/reviews").mkdir()
            for number, noun in enumerate(NOUNS):
                Path(f"project/texts/review-{number}.txt").write_text(REVIEW.format(number, noun))
                for other in (number, number + 50):
                    Path(f"project/reviews/{other}.txt").write_text(REVIEW.format(other, noun))

        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(scheduler, "RECHECK_SECONDS", 0.0)
        before = {"kepipe scheduler --once": something_happens, "kepipe drift": reviews_arrive}
        tutorial = Tutorial("../retraining", {}, before)
        tutorial.follow(folder, patch)
        yield tutorial


def outputs(followed: Tutorial, command: str) -> list[str]:
    """The output of each command with this beginning, in order."""
    return [output for typed, output in followed.typed if typed.startswith(command)]


def test_cron_schedule_runs_and_a_better_model_is_promoted(followed: Tutorial) -> None:
    assert "fires: cron 0 2 * * * Europe/Berlin" in outputs(followed, "kepipe scheduler --once")[0]
    assert len(re.findall(r"\d\d:00:00 (?:CET|CEST)", followed.output_of("kepipe schedule next"))) >= 2
    history = outputs(followed, "kepipe models history")[0]
    assert "version 1 promoted" in history
    assert re.search(
        r"version 2 promoted: every condition is met: mlm_loss/tokens is better by [\d.]+ \(95%", history
    )


def test_new_text_triggers_one_run(followed: Tutorial) -> None:
    once = outputs(followed, "kepipe scheduler --once")
    assert "arrivals  fires: never fired before" in once[1]
    assert once[2] == "no schedule is due, and no source has changed\n"
    assert "arrivals  fires: 1 new: corpus/voyager.txt" in once[3]
    newest = outputs(followed, "kepipe schedule history arrivals")[1].splitlines()[0]
    assert "finished" in newest
    assert "corpus/voyager.txt" in newest


def test_drift_is_reported_and_starts_a_run(followed: Tutorial) -> None:
    output = followed.output_of("kepipe drift")
    assert re.search(r"^domain .* drift$", output, re.MULTILINE)
    assert "drift in 12 new documents: " in output
    page = Path(re.search(r"^page: (.*)$", output, re.MULTILINE)[1])  # type: ignore[index]
    assert "Over time" in page.read_text(encoding="utf-8")
    (last,) = outputs(followed, "kepipe scheduler --once")[4:]
    assert "drifts  fires: drift in 12 new documents" in last
    assert "drifts  finished" in last
    assert "arrivals" not in last  # it is paused
    assert "drift in 12 new documents" in followed.output_of("kepipe schedule history drifts").splitlines()[0]


def test_forgetting_and_worse_models_are_refused_and_rollback_works(followed: Tutorial) -> None:
    history = followed.output_of("kepipe models history")
    versions = [int(number) for number in re.findall(r"version (\d+) (?:promoted|refused)", history)]
    forgot, worst = sorted(versions)[-2:]
    assert re.search(rf"version {forgot} refused: mlm_loss/tokens on old data is worse by", history)
    assert re.search(rf"version {worst} refused: .*mlm_loss/tokens is worse by", history)
    champions = [int(n) for n in history.splitlines()[-1].removeprefix("champions in order: ").split(", ")]
    assert not {forgot, worst} & set(champions)
    assert (
        followed.output_of("kepipe models rollback") == f"fresh version {champions[-2]} is champion again\n"
    )
    compared = followed.output_of("kepipe models compare")
    assert f"both evaluated on the questions of version {worst}" in compared
    assert re.search(
        r"^mlm_loss/tokens .*\+[\d.]+ \(95% interval -?[\d.]+ to [\d.]+\)$", compared, re.MULTILINE
    )


def asked(*words: str, code: int = 0) -> str:
    """The output of a command in the folder of the page."""
    ended = CliRunner().invoke(app, list(words))
    assert ended.exit_code == code, ended.output
    return ended.output


def test_failed_training_is_notified_and_keeps_the_champion(followed: Tutorial) -> None:
    models, decided = asked("models", "list", "fresh"), asked("models", "history", "fresh")
    assert followed.output_of("kepipe models rollback").split()[2] in models
    fails = "--set", "stages.pretrain.learning_rate=1e30", "--set", "stages.pretrain.steps=80"
    asked("schedule", "add", "project/fresh.yaml", "--name", "broken", "--cron", "0 3 * * *", *fails)
    with schedules.open_store(Path("workspace")) as store:
        store.set_next("broken", datetime.now().astimezone() - timedelta(seconds=1))
    output = asked("scheduler", "--once", "--notify", "command=tee told.json", code=1)
    assert "broken  failed" in output
    record = json.loads(Path("told.json").read_text())
    assert (record["schedule"], record["outcome"]) == ("broken", "failed")
    assert "training stops" in str(record)
    newest = asked("schedule", "history", "broken").splitlines()[0]
    log = Path(newest.split()[-1])
    assert "failed" in newest
    assert "stage `pretrain` failed" in log.read_text()
    asked("track", "sync")
    assert (asked("models", "list", "fresh"), asked("models", "history", "fresh")) == (models, decided)
    runs = connect(Path("workspace")).client
    experiment = runs.get_experiment_by_name("fresh")
    (failed,) = runs.search_runs(
        [experiment.experiment_id], "status = 'FAILED' and tags.`kepipe.kind` = 'pretrain'"
    )
    assert "training stops" in failed.data.tags["kepipe.error"]
    asked("run", "project/fresh.yaml", "--set", "stages.pretrain.steps=2")  # as before, from the cache


def test_checkpoints_are_logged_models_with_held_out_loss(followed: Tutorial) -> None:
    short = [f"stages.pretrain.{name}" for name in ("steps=2", "checkpoint_every=1", "eval_every=1")]
    flags = [word for setting in short for word in ("--set", setting)]
    asked("run", "project/fresh.yaml", *flags, "--until", "pretrain")
    asked("track", "sync")
    client = connect(Path("workspace")).client
    experiment = client.get_experiment_by_name("fresh")
    (found,) = client.search_logged_models([experiment.experiment_id], "model_type = 'checkpoint'")
    assert (found.name, found.tags["kepipe.checkpoint"]) == ("pretrain, checkpoint-1", "removed")
    (measured,) = found.metrics
    assert (measured.key, measured.step, measured.dataset_name) == ("held_out_loss", 1, "shards/held_out")


def test_continued_pipeline_is_valid(followed: Tutorial) -> None:
    assert "valid; stages graph, corpus, link, shards, champion, pretrain" in followed.output_of(
        "kepipe config check"
    )


def test_model_card_and_archive(followed: Tutorial) -> None:
    card = followed.output_of("kepipe models card")
    assert "## Licence\n\nApache-2.0" in card
    assert "To try retraining." in card
    assert '"stage": "pretrain"' in card
    archived = followed.output_of("kepipe models archive")
    assert "is kept: champion" in archived
    assert "archived: " in archived


@pytest.mark.parametrize(
    "table",
    [TRIGGERS, CONDITIONS, MEASURES, CHANNELS],
    ids=["triggers", "conditions", "measures", "channels"],
)
def test_every_row_of_the_tables_is_on_the_page(table: dict[str, object]) -> None:
    for row in table:
        assert any(f"| `{mark}{row}" in PAGE or f"| `{mark}{row}=" in PAGE for mark in ("", "--")), row


def test_every_trigger_has_an_option() -> None:
    fields = {field.replace("_", "-") for field in TriggerOptions.__dataclass_fields__}
    assert set(TRIGGERS) <= fields

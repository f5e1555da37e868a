"""`kepipe cache`: what is removed, what is kept, and what is said of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from tests.support.flow import Bench, flow


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    from kepipe.flow.plan import Workspace

    return Bench(Workspace(tmp_path / "workspace"))


def clear(bench: Bench, *flags: str) -> str:
    result = CliRunner().invoke(app, ["cache", "clear", *flags, "--workspace", str(bench.workspace.root)])
    assert result.exit_code == 0, result.output
    return result.output


def interrupted(bench: Bench) -> Path:
    """What a killed run leaves: a desk with a checkpoint of a megabyte."""
    desk = bench.workspace.store.start("0123456789")
    (desk.scratch / "checkpoint").write_bytes(bytes(1_000_000))
    return desk.scratch


def test_what_the_newest_runs_use_and_unfinished_work_are_kept(bench: Bench) -> None:
    bench.run(flow(times=1))
    bench.run(flow(times=2))
    scratch = interrupted(bench)
    store = bench.workspace.store
    store.set_aside(next(folder for folder in store.finished() if folder not in bench.workspace.in_use()))
    count = len(store.finished())
    said = clear(bench)
    assert "1.0 MB are those of 1 unfinished stages; `--unfinished` removes them too" in said
    assert not store.damaged()
    assert {folder.resolve() for folder in store.finished()} == bench.workspace.in_use()
    assert len(store.finished()) == 4 < count + 1
    assert scratch.exists()
    assert clear(bench, "--unfinished") == "freed 1.0 MB\n"
    assert not store.unfinished()
    clear(bench, "--everything")
    assert not store.finished()


def test_what_a_process_works_on_is_left_alone(bench: Bench) -> None:
    scratch = interrupted(bench)
    with bench.workspace.store.lock("0123456789", lambda: None):
        assert "1 left: another process is at them" in clear(bench, "--unfinished")
    assert scratch.exists()


def test_a_damaged_result_is_named_and_made_again(bench: Bench) -> None:
    made, _ = bench.run(flow())
    shutil.copy(made["add"].folder / "value.json", made["write"].folder / "value.json")
    command = ["cache", "verify", "--workspace", str(bench.workspace.root)]
    first, second = (CliRunner().invoke(app, command) for _ in range(2))
    assert first.exit_code == 1
    assert "value.json: content does not match its digest" in first.output
    assert second.output == "all fine\n"
    assert bench.run(flow())[0]["write"].folder == made["write"].folder

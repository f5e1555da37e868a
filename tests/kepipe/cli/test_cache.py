"""`kepipe cache`: which results are removed or kept, and the messages."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from tests.support.flow import Bench, flow
from tests.support.kepipe_run import EXAMPLE, Kepipe


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    from kepipe.flow.plan import Workspace

    return Bench(Workspace(tmp_path / "workspace"))


def clear(bench: Bench, *flags: str) -> str:
    result = CliRunner().invoke(app, ["cache", "clear", *flags, "--workspace", str(bench.workspace.root)])
    assert result.exit_code == 0, result.output
    return result.output


def interrupted(bench: Bench) -> Path:
    """Leftovers of a killed run: a work folder with a checkpoint of one megabyte."""
    desk = bench.workspace.store.start("0123456789")
    (desk.scratch / "checkpoint").write_bytes(bytes(1_000_000))
    return desk.scratch


def test_cache_clear_keeps_results_in_use_and_unfinished_work(bench: Bench) -> None:
    bench.run(flow(times=1))
    bench.run(flow(times=2))
    scratch = interrupted(bench)
    store = bench.workspace.store
    unused = next(folder for folder in store.finished() if folder not in bench.workspace.in_use())
    (unused / "value.json").write_text("damaged")
    store.set_aside(unused.name, lambda _: None)
    assert [folder.name.partition("-")[0] for folder in store.damaged()] == [unused.name]
    count = len(store.finished())
    output = clear(bench)
    assert "1 unfinished stages with 1.0 MB were kept; `--unfinished` removes them too" in output
    assert not store.damaged()
    assert {folder.resolve() for folder in store.finished()} == bench.workspace.in_use()
    assert len(store.finished()) == 4 < count + 1
    assert scratch.exists()
    assert clear(bench, "--unfinished") == "freed 1.0 MB\n"
    assert not store.unfinished()
    clear(bench, "--everything")
    assert not store.finished()


def test_cache_clear_keeps_work_that_a_process_has_locked(bench: Bench) -> None:
    scratch = interrupted(bench)
    with bench.workspace.store.lock("0123456789", lambda: None):
        assert "1 kept: in use by running pipelines" in clear(bench, "--unfinished")
    assert scratch.exists()


def test_cache_verify_reports_damage_and_the_result_is_made_again(bench: Bench) -> None:
    made, _ = bench.run(flow())
    shutil.copy(made["add"].folder / "value.json", made["write"].folder / "value.json")
    command = ["cache", "verify", "--workspace", str(bench.workspace.root)]
    first, second = (CliRunner().invoke(app, command) for _ in range(2))
    assert first.exit_code == 1
    (aside,) = bench.workspace.store.damaged()
    reported, summary = first.output.splitlines()
    assert "value.json: content does not match its digest" in reported
    assert f"moved to {aside}" in reported
    assert summary == "1 damaged"
    assert second.output == "no damage found\n"
    assert bench.run(flow())[0]["write"].folder == made["write"].folder


def test_cache_verify_reports_damage_that_another_process_holds(bench: Bench) -> None:
    made, _ = bench.run(flow())
    folder = made["write"].folder
    shutil.copy(made["add"].folder / "value.json", folder / "value.json")
    with bench.workspace.store.lock(folder.name, lambda: None):
        result = CliRunner().invoke(app, ["cache", "verify", "--workspace", str(bench.workspace.root)])
    assert result.output.splitlines()[1:] == ["1 damaged"]
    assert "value.json: content does not match its digest" in result.output
    assert folder.exists()


def test_cache_clear_keeps_results_that_a_running_run_reads(bench: Bench) -> None:
    """Lists of killed runs are ignored and removed."""
    made, _ = bench.run(flow())
    store = bench.workspace.store
    with store.live.track("other") as note_use:
        note_use(made["write"].folder.name)
        assert "1 kept: in use by running pipelines" in clear(bench, "--everything")
        assert [folder.name for folder in store.finished()] == [made["write"].folder.name]
        assert not store.forget(made["write"].folder.name)
    (store.root / "live" / "killed.keys").write_text(f"{made['write'].folder.name}\n")
    clear(bench, "--everything")
    assert not store.finished()
    assert not list((store.root / "live").glob("*.keys"))


def test_result_remade_by_another_process_is_not_set_aside(bench: Bench) -> None:
    """Both found it damaged; the second one would otherwise remove the first one's result."""
    made, _ = bench.run(flow())
    store, key = bench.workspace.store, made["write"].folder.name
    (made["write"].folder / "value.json").write_text("damaged")
    messages: list[str] = []
    with store.lock(key, lambda: None):
        assert store.find(key, messages.append) is None
    assert (store.holds(key), messages) == (True, [])
    (made["write"].folder / "value.json").write_text("1")
    store.set_aside(key, messages.append)
    assert (store.holds(key), messages) == (True, [])


def cache(bench: Bench, *words: str) -> str:
    result = CliRunner().invoke(app, ["cache", *words, "--workspace", str(bench.workspace.root)])
    assert result.exit_code == 0, result.output
    return result.output


def test_cache_list_groups_by_pipeline_and_counts_hard_links_once(bench: Bench) -> None:
    bench.run(flow(times=1))
    bench.run(flow(times=2))
    output = cache(bench, "list")
    assert output.splitlines()[0] == flow(times=1).name
    assert "not used by the latest run" in output
    store = bench.workspace.store
    (file,) = (file for file in store.finished()[0].rglob("*.json") if file.name == "value.json")
    place = bench.workspace.root / "mlartifacts" / "model"
    place.mkdir(parents=True)
    (place / "linked").hardlink_to(file)
    assert "mlartifacts" not in cache(bench, "list")
    (place / "own").write_bytes(bytes(2_000_000))
    assert "mlartifacts, files of MLflow alone: 2.0 MB" in cache(bench, "list")
    assert cache(bench, "list").splitlines()[-1].startswith("total 2.")


def test_cache_prune_removes_old_results_and_keeps_those_in_use(bench: Bench) -> None:
    for times in (1, 2, 4):  # 3 would be the work of `more`
        bench.run(flow(times=times))
    before = {folder.name for folder in bench.workspace.store.finished()}
    assert "would free" in cache(bench, "prune", "--dry-run")
    assert {folder.name for folder in bench.workspace.store.finished()} == before
    assert cache(bench, "prune", "--older", "30d") == "freed 0.0 MB\n"
    assert cache(bench, "prune", "--keep", "3") == "freed 0.0 MB\n"
    cache(bench, "prune", "--keep", "1")
    left = {folder.resolve() for folder in bench.workspace.store.finished()}
    assert left == bench.workspace.in_use()
    assert len(left) < len(before)
    result = CliRunner().invoke(app, ["cache", "prune", "--older", "soon"])
    assert result.exit_code == 2


def test_cache_push_pull_and_prune_of_a_shared_store(tmp_path: Path) -> None:
    shared, example = str(tmp_path / "shared"), str(EXAMPLE)
    Kepipe(tmp_path / "a").run("--only", "graph", "--only", "corpus")
    made = len(list((tmp_path / "a" / "store" / "done").iterdir()))

    def cache(*arguments: str, workspace: str = "a") -> str:
        place = str(tmp_path / workspace)
        result = CliRunner().invoke(app, ["cache", *arguments, "--store", shared, "--workspace", place])
        assert result.exit_code == 0, result.output
        return result.output

    assert f"{made} of {made} results copied" in cache("push")
    assert f"0 of {made} results copied, 0.0 MB" in cache("push")
    assert "results copied: graph, corpus" in cache("pull", example, workspace="b")
    assert "results copied: none" in cache("pull", example, workspace="b")
    assert "would free 0.0 MB" in cache("prune", "--older", "1d", "--dry-run")
    assert "results copied: graph, corpus" in cache("pull", example, workspace="c")


def test_cache_push_asks_for_a_shared_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEPIPE_STORE", raising=False)
    result = CliRunner().invoke(app, ["cache", "push", "--workspace", str(tmp_path)])
    assert result.exit_code == 2
    assert "missing: a folder" in result.output

"""Each stage runs once, and again if its inputs change; no result is lost or computed twice."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kepipe.config import ConfigError, Section
from kepipe.files import write_text
from kepipe.flow.artifact import Artifact, read_manifest, seal, verify
from kepipe.flow.events import Event, Metrics, Noted, RunEnded, RunStopped, StageEnded, StageStarted
from kepipe.flow.plan import Flow, Node, Workspace, explain, make_plan
from kepipe.flow.runner import Run, StageFailed, StageSelection
from kepipe.flow.stage import Nothing, Stage, StageContext
from tests.support.flow import ADD, WRITE, AddConfig, Bench, Number, WriteConfig, flow
from tests.support.waiting import TIMEOUT, until

Statuses = Callable[[list[Event]], dict[str, str]]


def test_stage_inputs_are_passed_by_name_and_type(bench: Bench) -> None:
    made, _ = bench.run(flow(value=5))
    total = made["add"]
    assert isinstance(total, Number)
    assert total.value() == 5 * 2 + 5 * 8


def test_unchanged_pipeline_is_cached(bench: Bench, statuses: Statuses) -> None:
    bench.run(flow())
    _, events = bench.run(flow())
    assert set(statuses(events).values()) == {"cached"}


def test_on_cached_is_called_for_a_cached_stage(bench: Bench) -> None:
    repeated: list[Path] = []
    stage = replace(WRITE, on_cached=lambda _inputs, _config, context: repeated.append(context.out))
    once = Flow("tiny", 0, "cpu", [Node("write", stage, WriteConfig(), {})])
    bench.run(once)
    assert repeated == []
    made, _ = bench.run(once)
    assert repeated == [made["write"].folder]


def test_only_stages_that_depend_on_a_change_run_again(bench: Bench, statuses: Statuses) -> None:
    bench.run(flow())
    _, events = bench.run(flow(times=2))
    assert statuses(events) == {"write": "cached", "double": "ran", "more": "cached", "add": "ran"}


def test_stage_is_cached_if_its_input_has_equal_content(bench: Bench, statuses: Statuses) -> None:
    bench.run(flow(times=1, parity=True))
    _, events = bench.run(flow(times=2, parity=True))
    assert statuses(events)["double"] == "ran"
    assert statuses(events)["add"] == "cached"


def test_until_only_and_force_select_stages(bench: Bench, statuses: Statuses) -> None:
    with pytest.raises(ConfigError, match="--only double: its input `write` does not exist"):
        bench.run(flow(), StageSelection(only=("double",)))
    with pytest.raises(ConfigError, match="--only double --only more: their input `write` does not exist"):
        bench.run(flow(), StageSelection(only=("double", "more")))
    with pytest.raises(ConfigError, match="--until and --only are mutually exclusive"):
        bench.run(flow(), StageSelection(until="write", only=("double",)))
    _, events = bench.run(flow(), StageSelection(until="write"))
    assert statuses(events) == {"write": "ran"}
    _, events = bench.run(flow(value=4), StageSelection(until="more"))
    assert statuses(events) == {"write": "ran", "more": "ran"}  # without `double`, which it does not need
    _, events = bench.run(flow(), StageSelection(only=("more",)))
    assert statuses(events) == {"write": "cached", "more": "ran"}  # without `double`, which it does not need
    _, events = bench.run(flow(), StageSelection(only=("double",)))
    assert statuses(events) == {"write": "cached", "double": "ran"}
    _, events = bench.run(flow(), StageSelection(force=["double"]))
    assert statuses(events) == {"write": "cached", "double": "ran", "more": "cached", "add": "ran"}
    _, events = bench.run(flow(), StageSelection(force=["double"]))
    assert statuses(events) == {"write": "cached", "double": "ran", "more": "cached", "add": "cached"}
    with pytest.raises(ConfigError, match="no stage `doble`; did you mean `double`"):
        bench.run(flow(), StageSelection(until="doble"))


def test_events_of_a_run_tell_how_it_ended(bench: Bench) -> None:
    ends = []
    for wrong in (RunStopped(), KeyboardInterrupt(), ValueError()):

        def stop(event: Event, wrong: BaseException = wrong) -> None:
            if isinstance(event, Metrics):
                raise wrong
            if isinstance(event, StageEnded | RunEnded):
                ends.append((type(event).__name__, event.status))
                assert 0 <= event.seconds < 3600

        expected = StageFailed if isinstance(wrong, ValueError) else type(wrong)
        with pytest.raises(expected):
            Run(flow(), bench.workspace, StageSelection(), [stop], device=lambda: "cpu").execute()
    assert [status for _, status in ends] == ["killed"] * 4 + ["failed"] * 2
    assert [name for name, _ in ends] == ["StageEnded", "RunEnded"] * 3


def test_failure_names_damaged_files_only_of_an_attempt_that_was_resumed(bench: Bench) -> None:
    def fail(_inputs: Nothing, _config: WriteConfig, context: StageContext) -> None:
        (context.scratch / "checkpoint").touch()
        raise ValueError("damaged")

    once = Flow("tiny", 0, "cpu", [Node("write", replace(WRITE, run=fail), WriteConfig(), {})])
    with pytest.raises(StageFailed, match=r"damaged$"):
        bench.run(once)
    with pytest.raises(StageFailed, match="it resumed an interrupted attempt"):
        bench.run(once)


def test_forced_stage_that_another_run_uses_is_refused(bench: Bench) -> None:
    made, _ = bench.run(flow())
    with bench.workspace.store.live.track("other") as mark_in_use:
        mark_in_use(made["write"].folder.name)
        with pytest.raises(ConfigError, match="--force write: another run uses its result"):
            bench.run(flow(), StageSelection(force=["write"]))
    assert made["write"].folder.exists()


def test_failed_stage_is_named_and_others_stay_cached(bench: Bench, statuses: Statuses) -> None:
    with pytest.raises(StageFailed, match="stage `double` failed: times must not be negative"):
        bench.run(flow(times=-1))
    _, events = bench.run(flow())
    assert statuses(events)["write"] == "cached"


def test_newest_artifact_of_each_stage_is_linked_under_the_pipeline(bench: Bench) -> None:
    made, _ = bench.run(flow())
    assert (bench.workspace.root / "tiny" / "add" / "value.json").read_text() == "10"
    assert (bench.workspace.root / "tiny" / "add").resolve() == made["add"].folder


def test_plan_names_the_first_of_many_inputs_that_a_stage_waits_for(bench: Bench) -> None:
    def why(count: int) -> str:
        parts = [Node(f"write{n}", WRITE, WriteConfig(value=n), {}) for n in range(count)]
        add = Node("report", ADD, AddConfig(), {"parts": [part.name for part in parts]})
        return make_plan(Flow("many", 0, "cpu", [*parts, add]), bench.workspace, [], warn=print)[-1].why

    eight = ", ".join(f"`write{n}`" for n in range(8))
    assert why(8) == f"waits for its inputs {eight}"
    assert why(11) == f"waits for its inputs {eight} and 3 more"


def test_plan_lists_status_and_reason_of_each_stage(bench: Bench) -> None:
    def plan(of: Flow, force: list[str] | None = None) -> dict[str, tuple[str, str]]:
        steps = make_plan(of, bench.workspace, force or [], warn=print)
        return {step.node.name: (step.status, step.why) for step in steps}

    assert plan(flow())["write"] == ("to run", "has not run before")
    assert plan(flow(), ["write"])["write"] == ("to run", "forced")
    assert plan(flow())["add"] == ("to run", "waits for its inputs `double`, `more`")
    bench.run(flow())
    assert {status for status, _ in plan(flow()).values()} == {"cached"}
    assert plan(flow(times=4))["double"] == ("to run", "times changed, 1 → 4")
    assert plan(flow(), ["write"])["write"] == ("to run", "forced")
    bench.run(flow(value=3), StageSelection(until="write"))
    assert plan(flow(value=3))["double"] == ("to run", "input `number` changed")
    assert plan(replace(flow(value=3), seed=4))["write"] == ("to run", "seed changed, 0 → 4")
    nodes = flow(value=3).nodes
    own = replace(nodes[0], seed=4, stage=replace(WRITE, version=2, fingerprint=lambda _: {"text": "d"}))
    changed = "the stage's version changed, 1 → 2; seed changed, 0 → 4; data `text` changed"
    assert plan(replace(flow(), nodes=[own]))["write"] == ("to run", changed)
    assert plan(flow(value=9))["more"] == ("to run", "waits for its input `write`")
    link = bench.workspace.latest("tiny", "write")
    shutil.rmtree(link.resolve())
    assert plan(flow(value=3))["write"] == ("to run", "its artifact was removed")


def test_settings_that_one_of_two_runs_lacks_are_unset(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    before = {"version": 1, "seed": 0, "config": {"a": {"b": 1}}, "inputs": {}, "sources": {}}
    seal(made, before, "run")
    now = before | {"config": {"a": {"c": 2}}}
    assert explain(now, made) == "a.b changed, 1 → unset; a.c changed, unset → 2"
    assert explain(before, made) == "its artifact was removed"


def test_workspace_is_made_with_its_parents_or_names_what_is_in_the_way(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "new" / "space")
    for _ in range(2):
        space.make()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/space: Not a directory; choose another"):
        Workspace(tmp_path / "file" / "space").make()


def count_slowly(inputs: Nothing, config: Section, context: StageContext) -> None:
    """Counts to 40 with a checkpoint at each; the artifact does not depend on interruptions. At `COUNT_TO` it
    waits to be killed."""
    state = context.scratch / "count"
    count = int(state.read_text()) if state.exists() else 0
    while count < 40:
        count += 1
        context.log({"count": count}, step=count)
        time.sleep(0.02)
        write_text(state, str(count))
        if count == int(os.environ.get("COUNT_TO", "-1")):
            time.sleep(TIMEOUT)
    (context.out / "value.json").write_text(str(count))


COUNT = Stage("count", 1, Nothing, Section, Number, count_slowly)
COUNTING = Flow("counting", 0, "cpu", [Node("count", COUNT, Section(), {})])


def run_counting(root: Path, log: Path) -> None:
    def note(event: Event) -> None:
        if isinstance(event, StageStarted | StageEnded | Noted):
            with log.open("a") as stream:
                stream.write(f"{type(event).__name__} {getattr(event, 'resumed', '')}\n")

    Run(COUNTING, Workspace(root), StageSelection(), [note], device=lambda: "cpu").execute()


def started(root: Path, log: Path) -> multiprocessing.Process:
    process = multiprocessing.get_context("spawn").Process(target=run_counting, args=(root, log))
    process.start()
    return process


def test_stage_killed_several_times_resumes_bit_identically(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, broken, log = tmp_path / "whole", tmp_path / "broken", tmp_path / "log"
    run_counting(whole, tmp_path / "other")
    for kills in range(1, 4):
        monkeypatch.setenv("COUNT_TO", str(9 * kills + 6))
        process = started(broken, log)
        (state,) = until(lambda: list(broken.glob("store/work/*/scratch/count")), pause=0.005)
        until(lambda state=state, least=9 * kills: int(state.read_text() or 0) >= least, pause=0.005)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    monkeypatch.delenv("COUNT_TO")
    run_counting(broken, log)
    assert log.read_text().count("StageStarted True") == 3
    ends = [Number.open((root / "counting" / "count").resolve()) for root in (whole, broken)]
    assert ends[0].digest == ends[1].digest
    assert [entry["count"] for entry in ends[1].metrics()] == list(range(1, 41))
    assert (
        read_manifest(ends[1].folder)["cache_key_inputs"] == read_manifest(ends[0].folder)["cache_key_inputs"]
    )


def test_concurrent_processes_run_a_stage_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    both = [started(tmp_path / "workspace", log) for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    lines = log.read_text().splitlines()
    assert sum(line.startswith("StageStarted") for line in lines) == 1


def test_metrics_are_in_the_record_and_not_in_the_digest(bench: Bench) -> None:
    made, events = bench.run(flow(value=4))
    assert made["write"].metrics() == [{"step": None, "value": 4.0}]
    assert any(isinstance(event, Metrics) for event in events)
    digest = made["write"].digest
    (made["write"].folder / "record" / "metrics.jsonl").write_text("")
    verify(made["write"].folder, thorough=True)
    assert Artifact.open(made["write"].folder).digest == digest


def interrupt(bench: Bench, selection: StageSelection | None = None) -> list[Event]:
    """Run `COUNTING` up to a checkpoint, and no further."""
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        if isinstance(event, Metrics) and event.step == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(COUNTING, bench.workspace, selection or StageSelection(), [stop], device=lambda: "cpu").execute()
    return events


def resumed(events: list[Event]) -> list[bool]:
    return [event.resumed for event in events if isinstance(event, StageStarted)]


def test_force_discards_a_result_and_resumes_an_interrupted_stage(bench: Bench) -> None:
    forced = StageSelection(force=["count"])
    bench.run(COUNTING)
    assert resumed(interrupt(bench, forced)) == [False]
    plan = make_plan(COUNTING, bench.workspace, ["count"], warn=print)
    assert (plan[0].status, plan[0].why) == ("resumable", "forced; continues an interrupted attempt")
    _, events = bench.run(COUNTING, forced)
    assert resumed(events) == [True]
    assert next(event.step for event in events if isinstance(event, Metrics)) == 9
    _, events = bench.run(COUNTING, forced)
    assert resumed(events) == [False]


@contextmanager
def files_up_to(bytes: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_at_the_end_fails_the_stage(bench: Bench) -> None:
    """The stage's file is below the limit; the manifest and the run's last events are above it."""

    def journal(event: Event) -> None:
        if isinstance(event, StageEnded | RunEnded):
            (bench.workspace.root / "journal").write_text(100 * "x")

    run = Run(flow(), bench.workspace, StageSelection(), [journal], device=lambda: "cpu")
    with pytest.raises(StageFailed, match=r"stage `write` failed: .*File too large"), files_up_to(60):
        run.execute()
    assert not bench.workspace.store.finished()
    made, _ = bench.run(flow())
    assert made["write"].metrics() == [{"step": None, "value": 1.0}]


def test_failed_link_fails_the_stage_and_keeps_its_result(bench: Bench, statuses: Statuses) -> None:
    """A file is where the links belong. After its removal the stage is cached."""
    bench.workspace.make()
    in_the_way, events = bench.workspace.root / "tiny", list[Event]()
    in_the_way.write_text("")
    for _ in ("made", "cached"):
        run = Run(flow(), bench.workspace, StageSelection(), [events.append], device=lambda: "cpu")
        with pytest.raises(StageFailed, match=r"stage `write` failed: .*File exists"):
            run.execute()
    assert [event.status for event in events if isinstance(event, StageEnded)] == ["failed"]
    in_the_way.unlink()
    _, events = bench.run(flow())
    assert statuses(events)["write"] == "cached"


def test_stage_resumes_with_an_emptied_seconds_file(bench: Bench) -> None:
    interrupt(bench)
    spent = next(bench.workspace.root.glob("store/work/*/seconds"))
    spent.write_text("")
    _, events = bench.run(COUNTING)
    assert resumed(events) == [True]

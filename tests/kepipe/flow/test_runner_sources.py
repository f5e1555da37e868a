"""The user's files may change while a stage reads them: no result is stored under the key of other data."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from kepipe.config import Section
from kepipe.flow.plan import Flow, Node
from kepipe.flow.runner import StageFailed
from kepipe.flow.source_digests import digest_source, recording_sources
from kepipe.flow.stage import Nothing, Stage, StageContext
from tests.support.flow import Bench, Number


class CopyConfig(Section):
    file: Path
    says_when_read: bool = False


def nothing() -> None: ...


def copy_flow(
    file: Path,
    *,
    before: Callable[[], object] = nothing,
    after: Callable[[], object] = nothing,
    says: bool = False,
) -> Flow:
    """A stage that copies a number from a file of the user's. `before`, `after`: called around its reading."""

    def copy(_inputs: Nothing, config: CopyConfig, context: StageContext) -> None:
        before()
        number = config.file.read_text()
        (context.scratch / "checkpoint").write_text(number)
        if config.says_when_read:
            context.sources_read()
        after()
        (context.out / "value.json").write_text((context.scratch / "checkpoint").read_text())

    def fingerprint(config: CopyConfig) -> Mapping[str, str]:
        return {"numbers": digest_source(config.file)}

    stage = Stage("copy", 1, Nothing, CopyConfig, Number, copy, fingerprint)
    return Flow("copied", 0, "cpu", [Node("copy", stage, CopyConfig(file=file, says_when_read=says), {})])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "number.txt"
    file.write_text("1")
    return file


def value(bench: Bench, flow: Flow) -> int:
    made, _ = bench.run(flow)
    copied = made["copy"]
    assert isinstance(copied, Number)
    return copied.value()


@pytest.mark.parametrize("when", ["before", "after"])
def test_result_of_a_file_changed_while_read_is_discarded(bench: Bench, file: Path, when: str) -> None:
    replace = {when: lambda: file.write_text("2")}
    with pytest.raises(StageFailed, match="numbers changed while `copy` was reading"):
        bench.run(copy_flow(file, **replace))
    assert not bench.workspace.store.unfinished(), "no checkpoint of other data is continued"
    assert value(bench, copy_flow(file)) == 2
    file.write_text("1")
    assert value(bench, copy_flow(file)) == 1


def test_input_removed_while_read_is_reported(bench: Bench, file: Path) -> None:
    with pytest.raises(StageFailed, match="numbers changed while `copy` was reading"):
        bench.run(copy_flow(file, after=file.unlink))


def test_failed_attempt_on_changed_data_is_not_resumed(bench: Bench, file: Path) -> None:
    def fail() -> None:
        file.write_text("2")
        raise OSError("no space left")

    with pytest.raises(StageFailed, match="no space left"):
        bench.run(copy_flow(file, after=fail))
    assert not bench.workspace.store.unfinished()


def test_file_changes_after_sources_read_do_not_matter(bench: Bench, file: Path) -> None:
    flow = copy_flow(file, after=lambda: file.write_text("2"), says=True)
    assert value(bench, flow) == 1
    file.write_text("1")
    assert value(bench, flow) == 1
    file.write_text("5")
    with pytest.raises(StageFailed, match="numbers changed"):
        bench.run(copy_flow(file, before=lambda: file.write_text("3"), says=True))


def test_file_is_digested_again_if_size_and_mtime_are_equal(file: Path) -> None:
    long_ago = 1_000_000_000_000_000_000
    os.utime(file, ns=(long_ago, long_ago))
    before = digest_source(file)
    file.write_text("2")
    os.utime(file, ns=(long_ago, long_ago))
    assert digest_source(file) != before


def test_unchanged_file_is_digested_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every plan, and each stage before and after reading, asks for its digest."""
    import kepipe.flow.source_digests as module

    monkeypatch.setattr(module, "SETTLED", -1)
    first = digest_source(file)
    monkeypatch.setattr(module, "hash_file", lambda file: pytest.fail("read again"))
    assert digest_source(file) == first


def test_file_within_the_resolution_of_its_times_is_digested_again(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its times do not tell a second change from the first: neither of the two may be recent."""
    import kepipe.flow.source_digests as module

    for times in ((time.time_ns(), 0), (0, time.time_ns())):
        monkeypatch.setattr(module, "_state", lambda _, times=times: (0, 0, 1, *times))
        file.write_text("1")
        first = digest_source(file)
        file.write_text("2")
        assert digest_source(file) != first


def test_digests_that_are_asked_for_are_recorded_in_order(file: Path) -> None:
    other = file.with_name("other.txt")
    other.write_text("2")
    with recording_sources() as asked:
        for one in (other, file, other):
            digest_source(one)
    digest_source(file.with_name("other.txt"))
    assert list(asked) == [other, file]

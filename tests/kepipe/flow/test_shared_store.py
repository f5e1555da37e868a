"""Shared results: copied completely, verified when pulled, pruned if nothing refers to them."""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest

from kepipe.config import ConfigError
from kepipe.flow.artifact import CorruptArtifact, read_manifest
from kepipe.flow.events import Event, Noted
from kepipe.flow.plan import Workspace, key_of, make_plan, pull_results
from kepipe.flow.runner import StageSelection
from kepipe.flow.shared_store import SharedStore
from kepipe.flow.store import Store, size
from tests.support.flow import Bench, flow
from tests.support.kepipe_run import EXAMPLE, Kepipe
from tests.support.ports import free_port
from tests.support.servers import AWS, server

Statuses = Callable[[list[Event]], dict[str, str]]


def finished(store: Store, content: str = "12345") -> Path:
    """A result of two equal files and one in a subfolder, with a record."""
    key_inputs = {"stage": "write", "inputs": {}, "content": content}
    key = key_of(key_inputs)
    workdir = store.start(key)
    (workdir.out / "deep").mkdir()
    for name in ("value", "same", "deep/er"):
        (workdir.out / name).write_text(content)
    (workdir.scratch.parent / "metrics.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
    return store.finish(key, workdir, key_inputs, "run-1", {"seconds": 2.0})[0]


@pytest.fixture
def shared(tmp_path: Path) -> SharedStore:
    return SharedStore(str(tmp_path / "shared"))


def blobs(shared: SharedStore) -> list[Path]:
    return [file for file in Path(shared.url, "blobs").rglob("*") if file.is_file()]


def equal(one: Path, other: Path) -> bool:
    names = {str(file.relative_to(one)) for file in one.rglob("*") if file.is_file()}
    others = {str(file.relative_to(other)) for file in other.rglob("*") if file.is_file()}
    return names == others and not any(filecmp.cmpfiles(one, other, list(names), shallow=False)[1:])


def test_pulled_result_equals_the_pushed_one_and_equal_files_are_stored_once(
    shared: SharedStore, tmp_path: Path
) -> None:
    folder = finished(Store(tmp_path / "store"))
    assert shared.push(folder) == size(Path(shared.url))
    assert shared.push(folder) == 0
    assert len(blobs(shared)) == 3  # the content, and the record's two files
    assert shared.pull(folder.name, tmp_path / "copy")
    assert equal(folder, tmp_path / "copy")
    assert (tmp_path / "copy" / "value").stat().st_mtime_ns == (folder / "value").stat().st_mtime_ns
    assert not shared.pull("0" * 20, tmp_path / "other")


def test_incomplete_push_is_no_result_and_is_completed(shared: SharedStore, tmp_path: Path) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    Path(shared.url, "results", f"{folder.name}.json").unlink()
    blobs(shared)[0].write_text("torn")
    assert not shared.holds(folder.name)
    shared.push(folder)
    assert shared.pull(folder.name, tmp_path / "copy")


def test_damaged_or_missing_blob_fails_the_pull(shared: SharedStore, tmp_path: Path) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    (content,) = (file for file in blobs(shared) if file.read_text() == "12345")
    content.write_text("54321")
    with pytest.raises(CorruptArtifact, match="does not match its digest"):
        shared.pull(folder.name, tmp_path / "a")
    content.unlink()
    with pytest.raises(CorruptArtifact, match="is missing"):
        shared.pull(folder.name, tmp_path / "b")


@pytest.mark.parametrize(
    "name", ["../outside", "/outside", "deep/../../outside", "artifact.json", "a\\b", ""]
)
def test_result_cannot_write_outside_its_folder(shared: SharedStore, tmp_path: Path, name: str) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    result = Path(shared.url, "results", f"{folder.name}.json")
    entry = json.loads(result.read_text())
    entry["manifest"]["files"][name] = entry["manifest"]["files"]["value"]
    result.write_text(json.dumps(entry))
    with pytest.raises(CorruptArtifact, match="is damaged"):
        shared.pull(folder.name, tmp_path / "copy")
    assert not (tmp_path / "outside").exists()


def test_result_with_a_name_of_the_record_for_a_file_elsewhere_is_rejected(
    shared: SharedStore, tmp_path: Path
) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    result = Path(shared.url, "results", f"{folder.name}.json")
    entry = json.loads(result.read_text())
    entry["record"]["elsewhere"] = next(iter(entry["record"].values()))
    result.write_text(json.dumps(entry))
    with pytest.raises(CorruptArtifact, match="is damaged"):
        shared.pull(folder.name, tmp_path / "copy")


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"manifest": {"files": {}}}'])
def test_unreadable_result_is_damaged(shared: SharedStore, tmp_path: Path, content: str) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    Path(shared.url, "results", f"{folder.name}.json").write_text(content)
    with pytest.raises(CorruptArtifact, match=f"the result {folder.name} is damaged"):
        shared.pull(folder.name, tmp_path / "copy")


def test_digest_that_is_none_is_rejected(shared: SharedStore, tmp_path: Path) -> None:
    """It is part of a blob's name."""
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    result = Path(shared.url, "results", f"{folder.name}.json")
    entry = json.loads(result.read_text())
    entry["record"]["record/run.json"] = "../../../../etc/passwd"
    result.write_text(json.dumps(entry))
    with pytest.raises(CorruptArtifact, match="is damaged"):
        shared.pull(folder.name, tmp_path / "copy")


def test_large_damaged_folder_is_not_pushed(
    shared: SharedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kepipe.flow.artifact.ALWAYS_DIGESTED", 0)
    folder = finished(Store(tmp_path / "store"))
    stat = (folder / "value").stat()
    (folder / "value").write_text("54321")
    os.utime(folder / "value", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(CorruptArtifact, match="does not match its digest"):
        shared.push(folder)
    assert not shared.holds(folder.name)


def test_mark_of_a_verification_is_not_shared(shared: SharedStore, tmp_path: Path) -> None:
    folder = finished(Store(tmp_path / "store"))
    (folder / "record" / "inner").mkdir()
    (folder / "record" / "inner" / "page").write_text("page")
    (folder / "record" / "verified").touch()
    shared.push(folder)
    shared.pull(folder.name, tmp_path / "copy")
    (folder / "record" / "verified").unlink()
    assert equal(folder, tmp_path / "copy")


def test_key_of_another_form_is_rejected(shared: SharedStore) -> None:
    with pytest.raises(ValueError, match="expected a key of 20 hex digits"):
        shared.holds("../key")


def test_manifest_of_a_shared_result_has_sorted_keys(shared: SharedStore, tmp_path: Path) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    shared.pull(folder.name, tmp_path / "copy")
    assert (tmp_path / "copy" / "artifact.json").read_bytes() == (folder / "artifact.json").read_bytes()
    text = Path(shared.url, "results", f"{folder.name}.json").read_text()
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_result_under_another_key_is_rejected(shared: SharedStore, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    one, other = finished(store, "1"), finished(store, "2")
    shared.push(one)
    results = Path(shared.url, "results")
    shutil.copy(results / f"{one.name}.json", results / f"{other.name}.json")
    with pytest.raises(CorruptArtifact, match="is damaged"):
        shared.pull(other.name, tmp_path / "copy")


def test_prune_removes_old_results_and_unreferenced_blobs(shared: SharedStore, tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    old, new = finished(store, "old"), finished(store, "new")
    shared.push(old)
    shared.push(new)
    long_ago = time.time() - 90 * 24 * 3600
    for file in [*blobs(shared), Path(shared.url, "results", f"{old.name}.json")]:
        os.utime(file, (long_ago, long_ago))
    everything = size(Path(shared.url))
    freed = shared.prune(time.time() - 3600, dry_run=True)
    assert size(Path(shared.url)) == everything
    assert shared.prune(time.time() - 3600) == freed > 0
    assert size(Path(shared.url)) == everything - freed
    assert not shared.holds(old.name)
    assert shared.pull(new.name, tmp_path / "copy")  # its record is that of the old one


def test_prune_keeps_blobs_of_a_push_in_progress(shared: SharedStore, tmp_path: Path) -> None:
    folder = finished(Store(tmp_path / "store"))
    shared.push(folder)
    Path(shared.url, "results", f"{folder.name}.json").unlink()
    assert shared.prune(time.time()) == 0
    content, record, metrics = blobs(shared)
    day = 24 * 3600
    for blob, age in ((content, day + 600), (record, day - 600), (metrics, 0)):
        os.utime(blob, (time.time() - age, time.time() - age))
    of_content = content.stat().st_size
    assert shared.prune(time.time()) == of_content
    assert set(blobs(shared)) == {record, metrics}


def test_second_workspace_uses_shared_results(tmp_path: Path, statuses: Statuses) -> None:
    url = str(tmp_path / "shared")
    first, second, third = (Bench(Workspace(tmp_path / name, url)) for name in ("a", "b", "c"))
    makers = {name: result.maker for name, result in first.run(flow())[0].items()}
    steps = make_plan(flow(), second.workspace, [], warn=print)
    assert (steps[0].status, steps[0].why) == ("cached", "in the shared store")
    made, events = second.run(flow())
    assert set(statuses(events).values()) == {"cached"}
    assert (tmp_path / "b" / "tiny" / "add" / "value.json").read_text() == "10"
    assert read_manifest(made["add"].folder)["maker"] == makers["add"]
    _, events = third.run(flow(), StageSelection(only=("double",)))
    assert statuses(events) == {"write": "cached", "double": "cached"}
    _, events = third.run(flow(times=2))
    assert statuses(events) == {"write": "cached", "double": "ran", "more": "cached", "add": "ran"}


@pytest.fixture(params=["memory", "s3"])
def bucket(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a bucket: in memory, or of an S3 server."""
    if request.param == "memory":
        yield f"memory://{tmp_path.name}"
        return
    import s3fs

    for name, value in AWS.items():
        monkeypatch.setenv(name, value)
    address = f"http://127.0.0.1:{(port := free_port())}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with server(["moto.server", "-H", "127.0.0.1", "-p", str(port)], f"{address}/moto-api/", tmp_path):
        s3fs.S3FileSystem().mkdir("kepipe")
        yield "s3://kepipe/shared"


def test_shared_store_in_a_bucket_is_verified_and_pruned(
    bucket: str, tmp_path: Path, statuses: Statuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (Bench(Workspace(tmp_path / name, bucket)) for name in "abc")
    made, _ = first.run(flow())
    _, events = second.run(flow())
    assert set(statuses(events).values()) == {"cached"}
    shared, result = SharedStore(bucket), made["add"].folder.resolve()
    assert shared.push(result) == 0
    shared.pull(result.name, tmp_path / "copy")
    assert equal(result, tmp_path / "copy")

    files, root = fsspec.core.url_to_fs(bucket)
    (blob,) = [name for name in files.find(f"{root}/blobs") if files.cat_file(name) == b"10"]
    files.pipe_file(blob, b"11")
    with pytest.raises(CorruptArtifact, match="does not match its digest"):
        shared.pull(result.name, tmp_path / "damaged")
    assert pull_results(flow(), third.workspace, warn=print) == ["write", "double", "more"]

    assert shared.prune(time.time() - 3600) == 0
    monkeypatch.setattr("kepipe.flow.shared_store.UPLOADING", -3600)
    files.rm_file(f"{root}/results/{result.name}.json")
    sizes = files.du(root)
    assert shared.prune(time.time() - 3600) == sizes - files.du(root) > 0
    assert not files.exists(blob)
    assert shared.pull(made["more"].folder.resolve().name, tmp_path / "kept")
    shared.prune(time.time() + 3600)
    assert files.find(root) == []


def test_pull_fetches_all_available_results(tmp_path: Path) -> None:
    url = str(tmp_path / "shared")
    first, second = (Bench(Workspace(tmp_path / name, url)) for name in "ab")
    first.run(flow(), StageSelection(until="double"))
    assert pull_results(flow(), second.workspace, warn=print) == ["write", "double"]
    assert pull_results(flow(), second.workspace, warn=print) == []
    assert sorted(link.name for link in (tmp_path / "b" / "tiny").iterdir()) == ["double", "write"]


def test_unreachable_shared_store_is_a_warning(tmp_path: Path, statuses: Statuses) -> None:
    (tmp_path / "file").write_text("no folder")
    bench = Bench(Workspace(tmp_path / "a", str(tmp_path / "file" / "shared")))
    _, events = bench.run(flow())
    assert set(statuses(events).values()) == {"ran"}
    warnings = [event.message for event in events if isinstance(event, Noted)]
    assert warnings
    assert all("shared store" in message for message in warnings)


def test_unknown_store_protocol_is_rejected() -> None:
    with pytest.raises(ConfigError, match="shared store nosuch://x: "):
        SharedStore("nosuch://x")


def test_example_is_computed_once_for_two_workspaces(tmp_path: Path) -> None:
    """The second is of another user: the texts lie elsewhere."""
    shutil.copytree(EXAMPLE.parent, tmp_path / "elsewhere")
    flags = ("--until", "shards", "--store", str(tmp_path / "shared"))
    first = Kepipe(tmp_path / "a").run(*flags)
    assert first.code == 0, first.errors
    second = Kepipe(tmp_path / "b", tmp_path / "elsewhere" / EXAMPLE.name).run(*flags)
    assert second.code == 0, second.errors
    assert set(first.statuses().values()) == {"finished"}
    assert set(second.statuses().values()) == {"cached"}

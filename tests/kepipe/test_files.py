"""Files and folders are written completely or not at all; links; locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import make_url

from kepipe import files

Write = Callable[[Path], None]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def killed(program: str, *arguments: Path) -> None:
    """Run a program that kills itself."""
    ended = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], check=False)
    assert ended.returncode == -9


KILL = (
    "import os, signal, sys\nfrom pathlib import Path\nfrom kepipe import files\nplace = Path(sys.argv[1])\n"
)


def test_kill_during_a_write_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    files.write_text(file, "old")
    program = (
        f"{KILL}with files.replacing(place) as new:\n    new.write_text('new')\n    os.kill(os.getpid(), 9)\n"
    )
    killed(program, file)
    assert (file.read_text(), names(tmp_path)) == ("old", [".state.json.unfinished", "state.json"])
    files.write_text(file, "newer")
    assert (file.read_text(), names(tmp_path)) == ("newer", ["state.json"])


def test_kill_during_a_folder_write_keeps_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "step-1"
    with files.filling(folder) as new:
        (new / "a").write_text("old")
    program = (
        f"{KILL}with files.filling(place) as new:\n    (new / 'b').touch()\n    os.kill(os.getpid(), 9)\n"
    )
    killed(program, folder)
    assert (names(folder), names(tmp_path)) == (["a"], [".step-1.unfinished", "step-1"])
    files.remove_leftovers(tmp_path)
    assert names(tmp_path) == ["step-1"]
    killed(program, folder)
    with files.filling(folder) as new:
        (new / "c").touch()
    assert (names(folder), names(tmp_path)) == (["c"], ["step-1"])


FULL = """
import resource, sys
from pathlib import Path
from kepipe import files
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    files.write_text(Path(sys.argv[1]), "x" * 2000)
except OSError as error:
    print(error)
"""


def test_full_disk_is_reported_and_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    files.write_text(file, "old")
    process = subprocess.run(
        [sys.executable, "-c", FULL, str(file)], check=True, capture_output=True, text=True
    ).stdout
    assert process.startswith(f"{file}: cannot be written (")
    assert process.strip().endswith("what was there before is untouched")
    assert (file.read_text(), names(tmp_path)) == ("old", ["state.json"])


@pytest.mark.parametrize("concurrent", [False, True])
def test_error_during_a_write_changes_nothing(tmp_path: Path, concurrent: bool) -> None:
    file, folder = tmp_path / "f", tmp_path / "g"
    file.write_text("old")
    folder.mkdir()
    with pytest.raises(ZeroDivisionError), files.replacing(file, concurrent=concurrent) as new:
        new.write_text(str(1 / new.write_text("")))
    with pytest.raises(ZeroDivisionError), files.filling(folder) as new:
        (new / "part").write_text(str(1 / 0))
    assert (file.read_text(), names(tmp_path), names(folder)) == ("old", ["f", "g"], [])


def test_error_is_raised_as_it_is_if_the_temporary_file_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "f"):
        raise ZeroDivisionError

    def fail() -> None:
        with files.filling(tmp_path / "g") as new:
            new.rmdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert names(tmp_path) == []


def test_concurrent_writers_do_not_mix(tmp_path: Path) -> None:
    """Each process writes to its own temporary name next to the file."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom kepipe.files import replacing\n"
        "for n in range(200):\n    with replacing(Path(sys.argv[1]), durable=False, concurrent=True) as new:\n"
        "        new.write_text(sys.argv[2] * 5000)\n"
    )
    file = tmp_path / "f"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(file), letter]) for letter in "ab"]
    while any(writer.poll() is None for writer in writers):
        assert not file.exists() or len(set(file.read_text())) == 1
    assert [writer.returncode for writer in writers] == [0, 0]
    assert names(tmp_path) == ["f"]


def test_link_is_replaced_atomically(tmp_path: Path) -> None:
    for target in ("one", "two"):
        with files.replacing(tmp_path / "latest", durable=False) as new:
            new.symlink_to(target)
    assert (tmp_path / "latest").readlink() == Path("two")


def test_publish_moves_the_folder(tmp_path: Path) -> None:
    for key in ("one", "two"):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / key).write_text("a")
        files.publish(tmp_path / "out", tmp_path / "store" / "done" / key)
        assert (names(tmp_path), names(tmp_path / "store" / "done" / key)) == (["store"], [key])


def test_files_are_synced_before_renaming(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, rename, replace = os.fsync, Path.rename, Path.replace

    def note_sync(handle: int) -> None:
        order.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        sync(handle)

    def note(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moved(path: Path, target: Path) -> Path:
            order.append(f"rename to {target.name}")
            return move(path, target)

        return moved

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "rename", note(rename))
    monkeypatch.setattr(Path, "replace", note(replace))
    files.write_text(tmp_path / "f", "x")
    with files.filling(tmp_path / "g") as new:
        (new / "part").touch()
    with files.replacing(tmp_path / "h", durable=False) as new:
        new.touch()
    with files.filling(tmp_path / "i", durable=False) as new:
        (new / "part").touch()
    assert order == [
        "sync .f.unfinished",
        "rename to f",
        "sync part",
        "sync .g.unfinished",
        "rename to g",
        f"sync {tmp_path.name}",
        "rename to h",
        "rename to i",
    ]


def test_sizes_of_a_folder_skip_links_and_what_disappears(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for number in range(3):
        (folder / str(number)).mkdir(parents=True)
        (folder / str(number) / "file").write_bytes(b"x" * 10)
    (folder / "0" / "more").write_bytes(b"x" * 10)
    (folder / "link").symlink_to(folder / "0" / "file")
    assert sum(about.st_size for about in files.file_stats(folder)) == 40
    found = files.file_stats(folder)
    assert next(found).st_size == 10
    shutil.rmtree(folder)
    assert [*found] == []


def test_linked_file_shares_its_blocks(tmp_path: Path) -> None:
    (tmp_path / "table").write_text("vectors")
    files.link_or_copy(tmp_path / "table", tmp_path / "models" / "new" / "table")
    assert (tmp_path / "models" / "new" / "table").samefile(tmp_path / "table")


def test_linking_replaces_the_target_instead_of_writing_through(tmp_path: Path) -> None:
    """The place may hold a link to another file, whose content must not change."""
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    files.link_or_copy(tmp_path / "old", tmp_path / "model")
    files.link_or_copy(tmp_path / "new", tmp_path / "model")
    assert ((tmp_path / "model").read_text(), (tmp_path / "old").read_text()) == ("new", "old")


def test_link_or_copy_falls_back_to_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "table").write_text("vectors")
    files.link_or_copy(tmp_path / "table", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "vectors"
    assert not (tmp_path / "copy").samefile(tmp_path / "table")


def test_lock_is_exclusive_and_free_after_a_kill(tmp_path: Path) -> None:
    file = tmp_path / "locks" / "key.lock"
    with files.lock(file) as held, files.lock(file, timeout=0) as again:
        assert (held, again) == (True, False)
    killed(f"{KILL}with files.lock(place) as held:\n    assert held\n    os.kill(os.getpid(), 9)\n", file)
    with files.lock(file, timeout=0) as held:
        assert held


def test_lock_is_awaited_and_may_be_given_back_by_another_thread(tmp_path: Path) -> None:
    file, held = tmp_path / "deep" / "locks" / "key.lock", ExitStack()
    taking = threading.Thread(target=lambda: held.enter_context(files.lock(file)))
    taking.start()
    taking.join()
    thread = threading.Timer(1.3, held.close)
    thread.start()
    with files.lock(file) as acquired:
        assert acquired
    thread.join()


def test_folder_is_filled_below_a_new_folder_and_places_are_removed(tmp_path: Path) -> None:
    with files.filling(tmp_path / "new" / "deep" / "folder") as new:
        (new / "a").touch()
    (tmp_path / "link").symlink_to(tmp_path / "new")
    (tmp_path / "file").touch()
    for name in ("link", "file", "none"):
        files.remove(tmp_path / name)
    assert names(tmp_path) == ["new"]
    assert names(tmp_path / "new" / "deep" / "folder") == ["a"]
    files.remove(tmp_path / "new")
    assert names(tmp_path) == []


def test_concurrent_writer_leaves_the_unfinished_files_of_others(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "f") as other:
        other.write_text("other")
        with files.replacing(tmp_path / "f", concurrent=True) as new:
            new.write_text("mine")
        assert (tmp_path / "f").read_text() == "mine"
    assert (tmp_path / "f").read_text() == "other"


@pytest.mark.parametrize(
    "name", ["plain.db", "a b'c\"d ü$HOME.db", "50%41.db", "a?mode=ro.db", "a#b.db", "a+b%.db"]
)
def test_sqlite_address_round_trips(name: str, tmp_path: Path) -> None:
    """As SQLAlchemy reads it, and as it is read here."""
    file = tmp_path / name
    address = files.sqlite_address(file)
    assert make_url(address).database == str(file)
    assert files.sqlite_file(address) == file
    assert files.sqlite_file(f"{address}?timeout=9") == file


def test_plain_path_is_an_address_as_it_is() -> None:
    """Without the driver, as MLflow writes it too."""
    assert files.sqlite_address(Path("/runs/mlflow.db")) == "sqlite:////runs/mlflow.db"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:5000",
        "postgresql://me@there/runs",
        "postgresql:///runs",
        "databricks",
        "sqlite",
        "mlruns",
    ],
)
def test_non_sqlite_address_has_no_file(address: str) -> None:
    assert files.sqlite_file(address) is None

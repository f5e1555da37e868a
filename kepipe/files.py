"""Files and folders that are there whole or not at all, links in place of copies, locks between processes.

What is new is written beside its place, as `.NAME.unfinished`, forced to disk and renamed. A kill leaves what was
there before and a leftover of that name, which the next writer takes away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout

_ENDING = ".unfinished"


@contextmanager
def replacing(file: Path, *, durable: bool = True, concurrent: bool = False) -> Iterator[Path]:
    """A path to write to, beside `file`, whose place it takes at the end of the block.

    After an error nothing has changed. `durable`: force the content to disk before, so that a power cut cannot leave an
    empty file. `concurrent`: several processes or threads may replace the file at once; the last one wins, and what a
    kill leaves stays.
    """
    writer = f".{os.getpid()}-{threading.get_ident()}" if concurrent else ""
    unfinished = file.with_name(f".{file.name}{writer}{_ENDING}")
    unfinished.unlink(missing_ok=True)
    try:
        yield unfinished
        if durable:
            _sync(unfinished)
        unfinished.replace(file)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def write_file(file: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a path beside `file`, whose place it takes.

    Raises OSError naming the file (a full disk, a limit); the file that was there before is left as it was.
    """
    try:
        with replacing(file) as unfinished:
            write(unfinished)
    except OSError as error:
        raise OSError(f"{file}: cannot be written ({error}); what was there before is untouched") from error


def write_text(file: Path, text: str) -> None:
    """Write a file of UTF-8 text, line ends as they are, as `write_file` does."""
    write_file(file, lambda path: _write_bytes(path, text.encode()))


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content, as `write_file` does."""
    write_file(target, lambda path: _write_bytes(path, source.read_bytes()))


@contextmanager
def filling(folder: Path, *, durable: bool = True) -> Iterator[Path]:
    """An empty folder to fill, beside `folder`, whose place it takes at the end of the block.

    After an error nothing has changed. Killed while the place is taken, there is the old folder or none. `durable`: as
    in `replacing`.
    """
    unfinished = folder.with_name(f".{folder.name}{_ENDING}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        if durable:
            sync_tree(unfinished)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    remove(folder)
    unfinished.rename(folder)
    if durable:
        _sync(folder.parent)


def publish(folder: Path, target: Path) -> None:
    """Force a folder to disk and move it, by one rename, to a place on the same file system that is free."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sync_tree(folder)
    folder.rename(target)
    _sync(target.parent)


def remove_leftovers(parent: Path) -> None:
    """Remove what writers that were killed left in a folder. Call where no writer is at work."""
    for leftover in parent.glob(f".*{_ENDING}"):
        remove(leftover)


def remove(place: Path) -> None:
    """Remove what stands there, if anything does: a folder with all in it, a file, or a link, not what it names."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def file_stats(folder: Path) -> Iterator[os.stat_result]:
    """The status of each regular file in a folder. Links are not followed; what another process removes meanwhile is
    skipped."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                about = (Path(parent) / name).lstat()
                if stat.S_ISREG(about.st_mode):
                    yield about


def sync_tree(folder: Path) -> None:
    """Force a folder and all that lies in it to disk."""
    for path in [*folder.rglob("*"), folder]:
        _sync(path)


def link_or_copy(source: Path, target: Path) -> None:
    """Have a file at a second place: a hard link, or a copy where the file system has none.

    A file that stands at `target` is replaced, not written to: it may itself be a link.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


@contextmanager
def lock(file: Path, timeout: float = -1) -> Iterator[bool]:
    """Hold a lock for the block, waiting for it up to `timeout` seconds, or as long as it takes; False if in vain.

    The lock is the operating system's and ends with the process that holds it; `file` may stay. It keeps out other
    blocks of the same process too. Raises PermissionError, in words, where the file cannot be written.
    """
    held = FileLock(file, thread_local=False)  # one thread may take it and another give it back
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(timeout=timeout)
    except Timeout:
        yield False
        return
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise
        raise PermissionError(
            f"{file.parent} is not writable, so nothing can be changed there; make it writable, or change a copy"
        ) from error
    try:
        yield True
    finally:
        held.release()


def is_locked(file: Path) -> bool:
    """Whether a process holds the lock of `file`, found out without writing, for folders that are only read."""
    try:
        handle = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)  # gives the shared lock back
    return False


def writable(place: Path) -> bool:
    """Whether a file may be written or made anew, or files be made in a folder; where it is missing, in the nearest
    folder above it."""
    existing = next((each for each in (place, *place.parents) if each.exists()), Path())
    return os.access(existing, os.W_OK)


def sqlite_writable(file: Path) -> bool:
    """Whether SQLite can write to a database, or make it: its journal is a file of its own, beside the database."""
    return writable(file) and writable(file.parent)


def _write_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sqlite_address(file: Path) -> str:
    """The address of a database as SQLAlchemy takes it, which ends a path at `?` and decodes `%41`.

    An encoded path comes with the driver's name: without, MLflow makes a folder of the encoded name.
    """
    path = str(file)
    return f"sqlite+pysqlite:///{quote(path)}" if set("%?#") & set(path) else f"sqlite:///{path}"


def sqlite_file(address: str) -> Path | None:
    """The file of an SQLite database's address, None for another's."""
    scheme, found, path = address.partition(":///")
    if not found or scheme.partition("+")[0] != "sqlite":
        return None
    return Path(unquote(path.partition("?")[0]))

"""Processes that work on the chunks of a corpus: of this machine, or of a Dask cluster. A stage's setting
`workers` chooses them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator

from kepipe.config import ConfigError
from kepipe.data.document_stream import Chunk
from kepipe.version import __version__
from kepipe.worker_processes import end_with_parent

if TYPE_CHECKING:
    from distributed import Client

Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
"""(description, total, unit) → a progress bar, called with the increment (`StageContext.progress`)."""
DASK = "dask"
ADDRESS = "scheduler-address"
"""Dask's setting; its variable is DASK_SCHEDULER_ADDRESS. A pipeline's file cannot name a cluster: messages of a
cluster are pickled, and the file may be a stranger's."""
NO_DASK = "`workers: dask` needs Dask: pip install 'kepipe[dask]'"
NO_CLUSTER = "`workers: dask`: which cluster? set DASK_SCHEDULER_ADDRESS=tcp://host:8786"
MANY_THREADS = (
    "{worker} of the Dask cluster has {threads} threads: start it with `dask worker --nthreads 1 --nworkers N`, since "
    "tasks do not share a process"
)
OTHER_VERSION = "{worker} of the Dask cluster has kepipe {found}, and this is {own}: results could differ"


def check_place(workers: int | str) -> int | str:
    """Raise ValueError for what is no `WorkerPlace`."""
    if workers != DASK and (isinstance(workers, str) or workers == 0):
        raise ValueError(
            "expected a number of processes, or `dask` with DASK_SCHEDULER_ADDRESS=tcp://host:8786"
        )
    return workers


WorkerPlace = Annotated[int | str, AfterValidator(check_place)]
"""A number of processes, −1 for one per processor, or `dask`."""


@dataclass(frozen=True)
class Workers:
    """Worker processes for chunks. `where`: their number, −1 for one per processor; or `dask`, the cluster of Dask's
    own settings."""

    where: int | str
    progress: Progress

    def run(
        self, what: str, documents: Path, chunks: Iterable[Chunk], do: Callable[..., Any], *args: Any
    ) -> Iterator[tuple[Chunk, Any]]:
        """As `map_chunks`, with a progress bar in bytes of the documents file."""
        with self.progress(what, documents.stat().st_size, "bytes") as tick:
            for chunk, result in map_chunks(self.where, chunks, do, *args):
                tick(chunk.end - chunk.begin)
                yield chunk, result


def map_chunks(
    where: int | str, chunks: Iterable[Chunk], do: Callable[..., Any], *args: Any
) -> Iterator[tuple[Chunk, Any]]:
    """Yield each chunk with the result of `do(*args, chunk)`, in order; `where` as in `Workers`."""
    from joblib import Parallel, delayed

    sent: list[Chunk] = []  # `chunks` can be iterated only once

    def calls() -> Iterator[Any]:
        for chunk in chunks:
            sent.append(chunk)
            yield delayed(do)(*args, chunk)

    with _processes(where) as count:
        results = Parallel(n_jobs=count, return_as="generator")(calls())
        for number, result in enumerate(results):
            yield sent[number], result


@contextmanager
def _processes(where: int | str) -> Iterator[int]:
    """Have joblib use these processes for the block; yields how many of them, −1 for all."""
    from joblib import parallel_config

    if isinstance(where, int):
        # loky restarts a worker whose memory has grown much, as it does when spaCy is loaded; no job is lost.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        # One thread per process: more would only compete for the cores.
        with parallel_config("loky", inner_max_num_threads=1, initializer=end_with_parent):
            yield where
        return
    with connect() as client:
        check(client)
        with parallel_config(DASK, client=client):
            yield -1


@contextmanager
def connect() -> Iterator[Client]:
    """A client of the Dask cluster. Raises ConfigError if Dask is not installed or there is no cluster."""
    try:
        import dask
        from distributed import Client
    except ImportError:
        raise ConfigError(NO_DASK) from None
    address = dask.config.get(ADDRESS, None)
    if not address:
        raise ConfigError(NO_CLUSTER)
    try:
        client = Client(address, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as reason:
        raise ConfigError(f"`workers: dask`: no cluster answers at {address}: {reason}") from None
    with client:
        yield client


def check(client: Client) -> None:
    """Raise ConfigError for workers with several threads, or with another version of kepipe."""
    for worker, threads in client.nthreads().items():  # type: ignore[no-untyped-call]
        if threads > 1:
            raise ConfigError(MANY_THREADS.format(worker=worker, threads=threads))
    for worker, found in client.run(_version).items():
        if found != __version__:
            raise ConfigError(OTHER_VERSION.format(worker=worker, found=found, own=__version__))


def _version() -> str:
    return __version__

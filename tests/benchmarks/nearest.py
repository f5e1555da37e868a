"""Time and memory of searching for the nearest texts, by the stage `neighbours` and by scikit-learn.

    KEPIPE_DATA=… python -m tests.benchmarks.nearest [--texts 1000000] [--queries 1000] [--peer 100000]

Texts are combined from halves of sentences of `corpora`, queries are texts of chemprot, and vectors are random, with
MiniLM's width, in float16. scikit-learn's `TfidfVectorizer` and `NearestNeighbors` keep everything in memory and are
measured with `--peer` texts. Every measurement is a separate process with one thread; time is processor time, memory is
the peak of the process with all imports (and the cached pages of the file of vectors).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.content import content_words
from kepipe.data.nearest import by_tf_idf, by_vectors

WIDTH, K, CORPORA = 384, 10, ("biomedical-abstracts", "movie-reviews", "abc-news")


def sentence_halves() -> tuple[list[str], list[str]]:
    """First and second halves of sentences."""
    folder = Path(os.environ["KEPIPE_DATA"]) / "corpora"
    lines = [line for name in CORPORA for line in (folder / f"{name}.jsonl").open(encoding="utf-8")]
    sentences = [sentence.split() for line in lines for sentence in json.loads(line)["text"].split(". ")]
    return (
        [" ".join(words[: len(words) // 2]) for words in sentences],
        [" ".join(words[len(words) // 2 :]) for words in sentences],
    )


def write_texts(file: Path, count: int) -> None:
    first_halves, second_halves = sentence_halves()
    random = np.random.default_rng(0)
    pairs = zip(
        random.integers(len(first_halves), size=count),
        random.integers(len(second_halves), size=count),
        strict=True,
    )
    with file.open("w", encoding="utf-8") as stream:
        stream.writelines(f"{first_halves[first]} {second_halves[second]}\n" for first, second in pairs)


def write_vectors(file: Path, count: int) -> None:
    random = np.random.default_rng(0)
    with file.open("wb") as stream:
        for first in range(0, count, 10_000):
            block = random.standard_normal((min(10_000, count - first), WIDTH), np.float32)
            block /= np.linalg.norm(block, axis=1, keepdims=True)
            block.astype(np.float16).tofile(stream)


def read_texts(file: Path) -> Iterator[str]:
    with file.open(encoding="utf-8") as stream:
        yield from stream


def queries(count: int) -> list[str]:
    file = Path(os.environ["KEPIPE_DATA"]) / "tasks" / "chemprot" / "train.jsonl"
    return [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()[:count]]


def tf_idf(file: Path, texts: list[str]) -> Ints:
    return by_tf_idf(texts, partial(read_texts, file), content_words, K).rows


def vectors(file: Path, texts: list[str]) -> Ints:
    vectors_ND = np.memmap(file.with_suffix(".f16"), np.float16, "r").reshape(-1, WIDTH)
    queries_QD = np.random.default_rng(1).standard_normal((len(texts), WIDTH), np.float32)
    return by_vectors(queries_QD, vectors_ND, K).rows


def scikit_learn(file: Path, texts: list[str]) -> Ints:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.neighbors import NearestNeighbors

    vectorizer = TfidfVectorizer(analyzer=content_words, sublinear_tf=True, dtype=np.float32)
    neighbours = NearestNeighbors(n_neighbors=K, metric="cosine").fit(
        vectorizer.fit_transform(read_texts(file))
    )
    rows: Ints = neighbours.kneighbors(vectorizer.transform(texts), return_distance=False)
    return rows


SEARCHES: dict[str, Callable[[Path, list[str]], Ints]] = {
    "kepipe, TF-IDF": tf_idf,
    "kepipe, vectors": vectors,
    "scikit-learn, TF-IDF": scikit_learn,
}


def measure(name: str, file: Path, count: int) -> tuple[float, float]:
    """Processor seconds and megabytes. Linux only."""
    texts = queries(count)
    start = time.process_time()
    SEARCHES[name](file, texts)
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return time.process_time() - start, int(peak.split()[1]) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument(
        "--peer", type=int, default=100_000, help="number of texts for the comparison with scikit-learn"
    )
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        name, file = args.measure
        print(json.dumps(measure(name, Path(file), args.queries)))
        return
    print("| search | texts | seconds | MB |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for count in (args.peer, args.texts):
            file = Path(folder) / "texts.txt"
            write_texts(file, count)
            write_vectors(file.with_suffix(".f16"), count)
            for name in SEARCHES if count == args.peer else list(SEARCHES)[:2]:
                command = [sys.executable, "-m", "tests.benchmarks.nearest", "--measure", name, str(file)]
                command += ["--queries", str(args.queries)]
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
                process = subprocess.run(
                    command, env=environment, stdout=subprocess.PIPE, text=True, check=True
                )
                seconds, megabytes = json.loads(process.stdout)
                print(f"| {name} | {count:,} | {seconds:.0f} | {megabytes:,.0f} |", flush=True)


if __name__ == "__main__":
    main()

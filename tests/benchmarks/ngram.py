"""N-gram models: memory and time of estimation, and speed compared with nltk.lm and KenLM.

`python -m tests.benchmarks.ngram memory [MILLIONS] [ORDER]`: estimates a model of so many million tokens and
prints the peak memory of the process, mapped files included. The text is random: 50,000 words by Zipf's law, where half
of the words are one of a few that the word before determines.

`python -m tests.benchmarks.ngram speed FILE [ORDER]`: a text file or JSON lines with `text`, whose last tenth is held
out. Estimates a model of the rest and scores the held-out part, alternating with nltk.lm (Kneser-Ney with one discount,
Witten-Bell), KenLM's lmplz and, on the same ARPA file, KenLM's query module, as far as they are installed. Medians of
three rounds.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Ints
from kepipe.models.ngram import arpa
from kepipe.models.ngram.counting import BOS, EOS, UNK, count
from kepipe.models.ngram.estimation import Estimator
from kepipe.models.ngram.pruning import Pruning
from kepipe.models.ngram.smoothing import SMOOTHINGS
from kepipe.models.ngram.tables import NgramTables, TableWriter, open_tables
from kepipe.models.ngram.vocabulary import SPECIAL

WORDS = 50_000
DOCUMENT = 500
ROUNDS = 3
NLTK_WORDS = 2_000
"""Held-out words that nltk scores; its Kneser-Ney iterates over all contexts for each."""


def random_text(millions: float) -> Iterator[Ints]:
    """The text of `memory`, a million tokens at a time."""
    rng = np.random.default_rng(0)
    shares = np.arange(1, WORDS - 2) ** -1.1
    edges = np.cumsum(shares / shares.sum())
    for _ in range(round(millions)):
        ranks = np.searchsorted(edges, rng.random(1_000_000)).clip(max=WORDS - 4)
        # half of the words are one of a few that the previous word determines
        follows = rng.random(len(ranks)) < 0.5
        following = (np.roll(ranks, 1) * 7919 + rng.integers(0, 4, len(ranks)) * 104_729) % 3_000
        words = 3 + np.where(follows, following, ranks)
        words[::DOCUMENT], words[DOCUMENT - 1 :: DOCUMENT] = BOS, EOS
        yield words


def estimate(
    token_arrays: Iterator[Ints], words: int, order: int, folder: Path, smoothing: str = "kneser-ney"
) -> NgramTables:
    counts = count(token_arrays, words, order, folder / "counts")
    Estimator(counts, SMOOTHINGS[smoothing], Pruning.of((0,), order), 1.0).write(
        TableWriter(folder / "model")
    )
    return open_tables(folder / "model", order, counts.bits)


def memory(millions: float, order: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start, processor_start = time.perf_counter(), time.process_time()
        tables = estimate(random_text(millions), WORDS, order, Path(folder))
        seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{millions:g} million tokens, order {order}: {', '.join(f'{n:,}' for n in tables.sizes)} n-grams"
        )
        print(f"{seconds:.0f} s, {processor_seconds:.0f} s of processor time; peak memory {peak:.2f} GiB")


def sentences_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8") as stream:
        texts = [json.loads(line)["text"] if file.suffix == ".jsonl" else line for line in stream]
    return [words for text in texts for line in text.splitlines() if (words := line.split())]


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def speed(file: Path, order: int) -> None:
    lines = sentences_of(file)
    held_out = lines[-len(lines) // 10 :]
    train = lines[: -len(held_out)]
    ids = {word: number for number, word in enumerate(SPECIAL)}
    for line in train:
        for word in line:
            ids.setdefault(word, len(ids))

    def numbers(sentences: list[list[str]]) -> Ints:
        return np.array([ids.get(w, UNK) for line in sentences for w in ("<s>", *line, "</s>")], np.int64)

    text, held_out_ids = numbers(train), numbers(held_out)
    print(f"{file.name}: {len(text):,} words for estimation, {len(held_out_ids):,} held out, order {order}")
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            model_folder = Path(folder) / str(number)
            elapsed, tables = timed(
                lambda model_folder=model_folder: estimate(iter([text]), len(ids), order, model_folder)
            )
            seconds.setdefault("kepipe, estimation", []).append(elapsed / len(text))
            elapsed, scores = timed(lambda tables=tables: tables.score(held_out_ids))
            seconds.setdefault("kepipe, scoring", []).append(elapsed / len(held_out_ids))
            if importlib.util.find_spec("nltk"):
                measure_nltk(train, held_out, order, seconds)
            if importlib.util.find_spec("kenlm"):
                arpa.write(model_folder / "model.arpa", tables, [*ids])
                measure_kenlm(model_folder / "model.arpa", held_out, scores[held_out_ids != BOS], seconds)
            if shutil.which("lmplz"):
                measure_lmplz(train, held_out, order, scores[held_out_ids != BOS], seconds)
    print(f"{'':<28}{'words a second':>16}{'kepipe is faster by':>22}")
    for name, values in seconds.items():
        rate = 1 / statistics.median(values)
        kepipe_rate = 1 / statistics.median(seconds[f"kepipe, {name.split(', ')[1]}"])
        print(f"{name:<28}{rate:>16,.0f}{kepipe_rate / rate:>22,.2f}")


def measure_nltk(
    train: list[list[str]], held_out: list[list[str]], order: int, seconds: dict[str, list[float]]
) -> None:
    from nltk.lm import KneserNeyInterpolated, WittenBellInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    words = sum(map(len, train)) + 2 * len(train)
    for kind in (WittenBellInterpolated, KneserNeyInterpolated):
        name = f"nltk {kind.__name__.removesuffix('Interpolated')}"
        model = kind(order)
        elapsed, _ = timed(lambda model=model: model.fit(*padded_everygram_pipeline(order, train)))
        seconds.setdefault(f"{name}, estimation", []).append(elapsed / words)
        limit = NLTK_WORDS if kind is WittenBellInterpolated else 20
        padded = [["<s>"] * (order - 1) + line + ["</s>"] for line in held_out]
        pairs = [
            (line[position], line[position - order + 1 : position])
            for line in padded
            for position in range(order - 1, len(line))
        ]
        pairs = pairs[:limit]
        elapsed, _ = timed(lambda model=model, pairs=pairs: [model.score(w, context) for w, context in pairs])
        seconds.setdefault(f"{name}, scoring", []).append(elapsed / len(pairs))


def measure_kenlm(
    file: Path, held_out: list[list[str]], kepipe_scores: np.ndarray, seconds: dict[str, list[float]]
) -> None:
    import kenlm

    model = kenlm.Model(str(file))
    texts = [" ".join(line) for line in held_out]
    elapsed, _ = timed(lambda: [model.score(text) for text in texts])
    words = sum(map(len, held_out)) + 2 * len(held_out)
    seconds.setdefault("KenLM, scoring", []).append(elapsed / words)
    kenlm_scores = [score for text in texts for score, _, _ in model.full_scores(text)]
    print(f"KenLM: log10 p differs by {np.abs(kepipe_scores - np.array(kenlm_scores)).max():.1e} at most")


def measure_lmplz(
    train: list[list[str]],
    held_out: list[list[str]],
    order: int,
    kepipe_scores: np.ndarray,
    seconds: dict[str, list[float]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        text, model = Path(folder) / "text", Path(folder) / "model.arpa"
        text.write_text("".join(" ".join(line) + "\n" for line in train), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["lmplz", "-o", str(order), "-S", "1G", "-T", folder, "--text", text, "--arpa", model]
        subprocess.run([*command, "--discount_fallback"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        elapsed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.setdefault("lmplz, estimation", []).append(elapsed / (sum(map(len, train)) + 2 * len(train)))
        tables, words = arpa.read(model)
        ids = {word: number for number, word in enumerate(words)}
        held_out_ids = [ids.get(word, UNK) for line in held_out for word in ("<s>", *line, "</s>")]
        lmplz_scores = tables.score(np.array(held_out_ids, np.int64))[np.array(held_out_ids) != BOS]
        print(f"lmplz: log10 p differs by {np.abs(kepipe_scores - lmplz_scores).max():.1e} at most")


if __name__ == "__main__":
    command, *arguments = [*sys.argv[1:], ""]
    if command == "memory":
        memory(float(arguments[0] or 100), int(arguments[1] or 5) if len(arguments) > 2 else 5)
    elif command == "speed" and arguments[0]:
        speed(Path(arguments[0]), int(arguments[1] or 3))
    else:
        sys.exit(str(__doc__))

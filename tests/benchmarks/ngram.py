"""N-gram models: memory and time of counting, and speed beside nltk.lm and KenLM.

`python -m tests.benchmarks.ngram memory [MILLIONS] [ORDER]`: counts and smooths so many million tokens and tells the
peak of the process's memory, mapped files included. The text is drawn: 50,000 words by Zipf's law,
every second one of a few that the word before it chooses.

`python -m tests.benchmarks.ngram speed FILE [ORDER]`: a text file or JSON lines with `text`, whose last tenth is held
out, in words. Estimates a model of the rest and scores the held-out part, in turn with nltk.lm (Kneser-Ney with one
discount, Witten-Bell), with KenLM's lmplz and, on the same ARPA file, with KenLM's query module; those of them that are
installed. Three rounds; medians.
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
"""Held-out words that nltk scores: its Kneser-Ney goes over all contexts for each."""


def drawn(millions: float) -> Iterator[Ints]:
    """The text of `memory`, a million tokens at a time."""
    rng = np.random.default_rng(0)
    shares = np.arange(1, WORDS - 2) ** -1.1
    edges = np.cumsum(shares / shares.sum())
    for _ in range(round(millions)):
        ranks = np.searchsorted(edges, rng.random(1_000_000)).clip(max=WORDS - 4)
        # a word after another: half of the time one of a few that the other chooses
        follows = rng.random(len(ranks)) < 0.5
        chosen = (np.roll(ranks, 1) * 7919 + rng.integers(0, 4, len(ranks)) * 104_729) % 3_000
        words = 3 + np.where(follows, chosen, ranks)
        words[::DOCUMENT], words[DOCUMENT - 1 :: DOCUMENT] = BOS, EOS
        yield words


def estimate(
    stretches: Iterator[Ints], words: int, order: int, folder: Path, smoothing: str = "kneser-ney"
) -> NgramTables:
    counts = count(stretches, words, order, folder / "counts")
    Estimator(counts, SMOOTHINGS[smoothing], Pruning.of((0,), order), 1.0).write(
        TableWriter(folder / "model")
    )
    return open_tables(folder / "model", order, counts.bits)


def memory(millions: float, order: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start, cpu = time.perf_counter(), time.process_time()
        tables = estimate(drawn(millions), WORDS, order, Path(folder))
        seconds, used = time.perf_counter() - start, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(
            f"{millions:g} million tokens, order {order}: {', '.join(f'{n:,}' for n in tables.sizes)} n-grams"
        )
        print(f"{seconds:.0f} s, {used:.0f} s of processor time; {peak:.2f} GiB of memory at most")


def sentences_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8") as stream:
        texts = [json.loads(line)["text"] if file.suffix == ".jsonl" else line for line in stream]
    return [words for text in texts for line in text.splitlines() if (words := line.split())]


def measured(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def speed(file: Path, order: int) -> None:
    lines = sentences_of(file)
    held_out = lines[-len(lines) // 10 :]
    train = lines[: -len(held_out)]
    ids = {word: number for number, word in enumerate(SPECIAL)}
    for line in train:
        for word in line:
            ids.setdefault(word, len(ids))

    def numbers(part: list[list[str]]) -> Ints:
        return np.array([ids.get(w, UNK) for line in part for w in ("<s>", *line, "</s>")], np.int64)

    text, asked = numbers(train), numbers(held_out)
    print(f"{file.name}: {len(text):,} words to learn from, {len(asked):,} held out, order {order}")
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            place = Path(folder) / str(number)
            took, tables = measured(lambda place=place: estimate(iter([text]), len(ids), order, place))
            seconds.setdefault("kepipe, estimation", []).append(took / len(text))
            took, scores = measured(lambda tables=tables: tables.score(asked))
            seconds.setdefault("kepipe, scoring", []).append(took / len(asked))
            if importlib.util.find_spec("nltk"):
                beside_nltk(train, held_out, order, seconds)
            if importlib.util.find_spec("kenlm"):
                arpa.write(place / "model.arpa", tables, [*ids])
                beside_kenlm(place / "model.arpa", held_out, scores[asked != BOS], seconds)
            if shutil.which("lmplz"):
                beside_lmplz(train, held_out, order, scores[asked != BOS], seconds)
    print(f"{'':<28}{'words a second':>16}{'kepipe is faster by':>22}")
    for name, values in seconds.items():
        rate = 1 / statistics.median(values)
        own = 1 / statistics.median(seconds[f"kepipe, {name.split(', ')[1]}"])
        print(f"{name:<28}{rate:>16,.0f}{own / rate:>22,.2f}")


def beside_nltk(
    train: list[list[str]], held_out: list[list[str]], order: int, seconds: dict[str, list[float]]
) -> None:
    from nltk.lm import KneserNeyInterpolated, WittenBellInterpolated
    from nltk.lm.preprocessing import padded_everygram_pipeline

    words = sum(map(len, train)) + 2 * len(train)
    for kind in (WittenBellInterpolated, KneserNeyInterpolated):
        name = f"nltk {kind.__name__.removesuffix('Interpolated')}"
        model = kind(order)
        took, _ = measured(lambda model=model: model.fit(*padded_everygram_pipeline(order, train)))
        seconds.setdefault(f"{name}, estimation", []).append(took / words)
        limit = NLTK_WORDS if kind is WittenBellInterpolated else 20
        padded = [["<s>"] * (order - 1) + line + ["</s>"] for line in held_out]
        pairs = [
            (line[at], line[at - order + 1 : at]) for line in padded for at in range(order - 1, len(line))
        ]
        pairs = pairs[:limit]
        took, _ = measured(lambda model=model, pairs=pairs: [model.score(w, before) for w, before in pairs])
        seconds.setdefault(f"{name}, scoring", []).append(took / len(pairs))


def beside_kenlm(
    file: Path, held_out: list[list[str]], ours: np.ndarray, seconds: dict[str, list[float]]
) -> None:
    import kenlm

    model = kenlm.Model(str(file))
    texts = [" ".join(line) for line in held_out]
    took, _ = measured(lambda: [model.score(text) for text in texts])
    words = sum(map(len, held_out)) + 2 * len(held_out)
    seconds.setdefault("KenLM, scoring", []).append(took / words)
    theirs = [score for text in texts for score, _, _ in model.full_scores(text)]
    print(f"KenLM: log10 p differs by {np.abs(ours - np.array(theirs)).max():.1e} at most")


def beside_lmplz(
    train: list[list[str]],
    held_out: list[list[str]],
    order: int,
    ours: np.ndarray,
    seconds: dict[str, list[float]],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        text, model = Path(place) / "text", Path(place) / "model.arpa"
        text.write_text("".join(" ".join(line) + "\n" for line in train), encoding="utf-8")
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = ["lmplz", "-o", str(order), "-S", "1G", "-T", place, "--text", text, "--arpa", model]
        subprocess.run([*command, "--discount_fallback"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.setdefault("lmplz, estimation", []).append(took / (sum(map(len, train)) + 2 * len(train)))
        tables, words = arpa.read(model)
        ids = {word: number for number, word in enumerate(words)}
        asked = [ids.get(word, UNK) for line in held_out for word in ("<s>", *line, "</s>")]
        theirs = tables.score(np.array(asked, np.int64))[np.array(asked) != BOS]
        print(f"lmplz: log10 p differs by {np.abs(ours - theirs).max():.1e} at most")


if __name__ == "__main__":
    what, *given = [*sys.argv[1:], ""]
    if what == "memory":
        memory(float(given[0] or 100), int(given[1] or 5) if len(given) > 2 else 5)
    elif what == "speed" and given[0]:
        speed(Path(given[0]), int(given[1] or 3))
    else:
        sys.exit(str(__doc__))

"""Injection and training with trees, on one core: `python -m tests.benchmarks.inject GRAPH.spo TEXTS.tsv [SENTENCES]`.

Sentences a second from words to trees at length 256, segmentation, matching and encoding of the text left out, against
a plain re-implementation of what the release of K-BERT does for each: position lists in Python, a dense matrix.
Then a training step with trees against one of plain BERT at the same final length. Aims: 10 times; at most 1.1 times.
"""

from __future__ import annotations

import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kepipe.arrays import pad
from kepipe.data.batch import Batch, Mentions
from kepipe.finetuning.rows import EntitySpan, Row
from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.kbert.tree import InjectedRows
from kepipe.knowledge.name_matcher import Dictionary
from kepipe.models.base import Base, build
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer
from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import guess, read_source
from kg.store import Graph
from kg.writer import GraphWriter

LENGTH, BATCH, BRANCHES, STEPS = 256, 32, 2, 7
Flat = tuple[list[str], list[int], np.ndarray]


def one_by_one(words: Sequence[str], facts: Mapping[str, Sequence[str]]) -> Flat:
    """What the release does for a sentence: its characters with branches, soft positions, the visible matrix."""
    tree: list[tuple[list[int], list[list[int]]]] = []
    characters: list[str] = []
    positions: list[int] = []
    trunk: list[int] = []
    at = soft = 0
    for word in words:
        own = [word] if word == "[CLS]" else list(word)
        places = list(range(at, at + len(own)))
        softs = list(range(soft, soft + len(own)))
        characters += own
        positions += softs
        trunk += places
        at, soft = at + len(own), soft + len(own)
        hanging = []
        for fact in list(facts.get(word, ()))[:BRANCHES]:
            hanging.append(list(range(at, at + len(fact))))
            characters += list(fact)
            positions += [softs[-1] + step for step in range(1, len(fact) + 1)]
            at += len(fact)
        tree.append((places, hanging))
    visible = np.zeros((at, at))
    for places, hanging in tree:
        branches = [place for branch in hanging for place in branch]
        for place in places:
            visible[place, trunk + branches] = 1
        for branch in hanging:
            for place in branch:
                visible[place, branch + places] = 1
    if at < LENGTH:
        characters += ["[PAD]"] * (LENGTH - at)
        positions += [LENGTH - 1] * (LENGTH - at)
        visible = np.pad(visible, ((0, LENGTH - at), (0, LENGTH - at)), "constant")
    return characters[:LENGTH], positions[:LENGTH], visible[:LENGTH, :LENGTH]


def read_facts(graph: Graph) -> dict[str, list[str]]:
    """Subject → predicate and object in one string, in the graph's order."""
    facts: dict[str, list[str]] = {}
    for head, relation, tail in graph.triples("train").tolist():
        facts.setdefault(graph.labels[head], []).append(graph.relation(relation).label + graph.labels[tail])
    return facts


def segment(text: str, dictionary: Dictionary) -> list[str]:
    """Words of the graph, and the characters between them."""
    words, at = [], 0
    for mention in dictionary.find(text):
        words += [*text[at : mention.start], text[mention.start : mention.end]]
        at = mention.end
    return [*words, *text[at:]]


def to_row(words: Sequence[str], known: Mapping[str, object], tokenizer: Tokenizer) -> Row:
    """The same sentence as a row: characters as tokens, words of the graph as mentions."""
    tokens = [tokenizer.id(char) or 100 for word in words[1:] for char in word]
    ends = np.cumsum([1, *map(len, words[1:])]).tolist()
    named = [EntitySpan(ends[n], ends[n + 1], word) for n, word in enumerate(words[1:]) if word in known]
    row = np.array([tokenizer.cls, *tokens])
    return Row(row, np.zeros_like(row), (0,), tuple(named))


def inject(injector: Injector, rows: Sequence[Row]) -> InjectedRows:
    """The trees of rows: padded, entities looked up, triples chosen and written."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    tokens = pad(np.concatenate([row.tokens for row in rows]), lengths, 0)
    mentions = Mentions.in_rows([row.mentions for row in rows])
    entities = np.array([injector.chooser.row(id) for id in mentions.ids], np.int64)[mentions.entities]
    return injector.build_rows(tokens, lengths, mentions, entities)


def clock(run: Callable[[], object], repeats: int = 3) -> float:
    """Least processor time of a call, in seconds."""
    taken = []
    for _ in range(repeats):
        started = time.process_time()
        run()
        taken.append(time.process_time() - started)
    return min(taken)


def dense(injected: InjectedRows) -> torch.Tensor:
    """The visible matrices of a batch, as a model's forward pass makes them."""
    from kepipe.nn.visibility import tree

    visibility = tree(torch.from_numpy(injected.branch), torch.from_numpy(injected.mention))
    rows, length = injected.tokens.shape
    matrix = visibility.dense(rows, length, length)
    assert matrix is not None
    return matrix


def measure_injection(sentences: list[list[str]], graph: Graph, tokenizer: Tokenizer) -> Injector:
    """Print the rates; the injector, warm."""
    facts = read_facts(graph)
    rows = [to_row(words, facts, tokenizer) for words in sentences]
    injector = Injector(graph, tokenizer, KBert(length=LENGTH, upstream=True))
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    check(sentences, facts, injector, rows)
    n = len(sentences)
    theirs = clock(lambda: [one_by_one(words, facts) for words in sentences], 1)
    ours = clock(lambda: [inject(injector, batch) for batch in batches])
    masked = clock(lambda: [dense(inject(injector, batch)) for batch in batches])
    mean = sum(map(len, rows)) / n
    print(f"{n:,} sentences of {mean:.0f} tokens, {sum(len(r.mentions) for r in rows) / n:.1f} mentions each")
    print(f"sentence by sentence: {n / theirs:,.0f} sentences/s")
    print(f"planted in batches of {BATCH}: {n / ours:,.0f} sentences/s, {theirs / ours:.0f} times as many")
    print(f"and their visible matrices: {n / masked:,.0f} sentences/s, {theirs / masked:.0f} times as many")
    for length in (256, 512, 1024):
        long = Injector(graph, tokenizer, KBert(length=length))
        line = [sum((words[1:] for words in sentences[k : k + 30]), ["[CLS]"]) for k in range(0, 240, 30)]
        trees = [to_row(words[: length // 2], facts, tokenizer) for words in line]
        inject(long, trees)
        tracemalloc.start()
        injected = inject(long, trees)
        kept, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        size = len(trees) * injected.tokens.shape[1]
        print(
            f"rows of {injected.tokens.shape[1]}: {kept / size:.0f} bytes a token kept, {peak / size:.0f} at most"
        )
    return injector


def check(
    sentences: list[list[str]], facts: Mapping[str, Sequence[str]], injector: Injector, rows: list[Row]
) -> None:
    """Both make the same positions and the same matrix, wherever the text is one token a character."""
    for words, row in list(zip(sentences, rows, strict=True))[:50]:
        _, positions, visible = one_by_one(words, facts)
        injected = inject(injector, [row])
        size = int(injected.lengths[0])
        if size == min(sum(len(facts_of) for facts_of in positions_of(words, facts)), LENGTH):
            assert injected.positions[0, :size].tolist() == positions[:size]
            assert (dense(injected)[0].numpy() == visible[:size, :size].astype(bool)).all()


def positions_of(words: Sequence[str], facts: Mapping[str, Sequence[str]]) -> list[list[int]]:
    """A list for each word and each of its facts, as long as it is."""
    parts = [part for word in words for part in (word, *list(facts.get(word, ()))[:BRANCHES])]
    return [[0] * (1 if part == "[CLS]" else len(part)) for part in parts]


def measure_training(rows: list[Row], injector: Injector, vocabulary: int) -> None:
    """Print the processor time of training steps with trees, and of plain rows of the same length."""
    model = build(Base(size="mini"), vocabulary, seed=0).train()
    injected = inject(injector, rows)
    T = injected.tokens.shape[1]
    tokens = torch.from_numpy(injected.tokens)
    plain = Batch(tokens=tokens, documents=torch.ones_like(tokens))
    positions, branch, mention = (
        torch.from_numpy(values) for values in (injected.positions, injected.branch, injected.mention)
    )
    trees = replace(plain, positions=positions, branch=branch, mention=mention)

    def step(batch: Batch) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model(batch)
            model.vocabulary(hidden[:, ::7].flatten(0, 1)).float().logsumexp(-1).mean().backward()  # type: ignore[no-untyped-call]
        model.zero_grad()

    for batch in (plain, trees):
        step(batch)  # what is done only once
    taken = np.array([[clock(lambda: step(plain), 1), clock(lambda: step(trees), 1)] for _ in range(STEPS)])
    plain_s, trees_s = np.median(taken, axis=0)
    low, ratio, high = np.quantile(taken[:, 1] / taken[:, 0], (0.25, 0.5, 0.75))
    print(
        f"training step of BERT-mini, {len(rows)} rows of {T}: plain {plain_s:.3f} s, trees {trees_s:.3f} s; ",
        end="",
    )
    print(f"of {STEPS} pairs in turn {ratio:.2f} times, the middle half {low:.2f} to {high:.2f}")


def main(graph_file: Path, texts_file: Path, count: int = 2000) -> None:
    """Print all of it."""
    torch.set_num_threads(1)
    tokenizer = load_tokenizer(texts_file.parent.parent / "bert-zh-vocab.txt")
    texts = [
        line.split("\t")[1] for line in texts_file.read_text(encoding="utf-8").splitlines()[1 : count + 1]
    ]
    with tempfile.TemporaryDirectory() as folder:
        writer = GraphWriter(Path(folder))
        read_source(guess(graph_file), graph_file, writer, Problems(), lambda _: None, Choices())
        graph = writer.finish()
        dictionary = Dictionary(graph)
        sentences = [["[CLS]", *segment(text, dictionary)] for text in texts]
        injector = measure_injection(sentences, graph, tokenizer)
        facts = read_facts(graph)
        rows = [to_row(words, facts, tokenizer) for words in sentences if sum(map(len, words)) > LENGTH // 2]
        measure_training(rows[:8], injector, tokenizer.vocab_size)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *(int(count) for count in sys.argv[3:]))

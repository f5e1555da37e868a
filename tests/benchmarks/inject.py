"""Speed of injecting triples and of training on the resulting trees, on one core.

    python -m tests.benchmarks.inject GRAPH.spo TEXTS.tsv [SENTENCES]

Sentences per second from words to trees at length 256, without segmentation, matching and encoding of the text,
compared with a re-implementation of the release of K-BERT, which works sentence by sentence with lists of positions and
a dense matrix. Then a training step with trees compared with one of plain BERT at the same final length. Aims: 10 times
the sentences per second; at most 1.1 times the time of a step.
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


def reference_injection(words: Sequence[str], facts: Mapping[str, Sequence[str]]) -> Flat:
    """A sentence as in the release: its characters with branches, soft positions, the visible matrix."""
    tree: list[tuple[list[int], list[list[int]]]] = []
    characters: list[str] = []
    positions: list[int] = []
    trunk: list[int] = []
    next_index = next_position = 0
    for word in words:
        word_characters = [word] if word == "[CLS]" else list(word)
        indices = list(range(next_index, next_index + len(word_characters)))
        soft_positions = list(range(next_position, next_position + len(word_characters)))
        characters += word_characters
        positions += soft_positions
        trunk += indices
        next_index, next_position = next_index + len(word_characters), next_position + len(word_characters)
        fact_indices = []
        for fact in list(facts.get(word, ()))[:BRANCHES]:
            fact_indices.append(list(range(next_index, next_index + len(fact))))
            characters += list(fact)
            positions += [soft_positions[-1] + offset for offset in range(1, len(fact) + 1)]
            next_index += len(fact)
        tree.append((indices, fact_indices))
    visible = np.zeros((next_index, next_index))
    for indices, fact_indices in tree:
        branch_indices = [index for fact_branch in fact_indices for index in fact_branch]
        for index in indices:
            visible[index, trunk + branch_indices] = 1
        for fact_branch in fact_indices:
            for index in fact_branch:
                visible[index, fact_branch + indices] = 1
    if next_index < LENGTH:
        characters += ["[PAD]"] * (LENGTH - next_index)
        positions += [LENGTH - 1] * (LENGTH - next_index)
        visible = np.pad(visible, ((0, LENGTH - next_index), (0, LENGTH - next_index)), "constant")
    return characters[:LENGTH], positions[:LENGTH], visible[:LENGTH, :LENGTH]


def read_facts(graph: Graph) -> dict[str, list[str]]:
    """Subject → predicate and object in one string, in the graph's order."""
    facts: dict[str, list[str]] = {}
    for head, relation, tail in graph.triples("train").tolist():
        facts.setdefault(graph.labels[head], []).append(graph.relation(relation).label + graph.labels[tail])
    return facts


def segment(text: str, dictionary: Dictionary) -> list[str]:
    """The words of the graph, and single characters between them."""
    words, end = [], 0
    for mention in dictionary.find(text):
        words += [*text[end : mention.start], text[mention.start : mention.end]]
        end = mention.end
    return [*words, *text[end:]]


def to_row(words: Sequence[str], facts: Mapping[str, object], tokenizer: Tokenizer) -> Row:
    """The same sentence as a row: characters as tokens, words of the graph as mentions."""
    tokens = [tokenizer.id(char) or 100 for word in words[1:] for char in word]
    ends = np.cumsum([1, *map(len, words[1:])]).tolist()
    mentions = [EntitySpan(ends[n], ends[n + 1], word) for n, word in enumerate(words[1:]) if word in facts]
    row = np.array([tokenizer.cls, *tokens])
    return Row(row, np.zeros_like(row), (0,), tuple(mentions))


def inject(injector: Injector, rows: Sequence[Row]) -> InjectedRows:
    """The trees of rows: rows are padded, entities looked up, triples selected and inserted."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    tokens = pad(np.concatenate([row.tokens for row in rows]), lengths, 0)
    mentions = Mentions.in_rows([row.mentions for row in rows])
    entities = np.array([injector.chooser.row(id) for id in mentions.ids], np.int64)[mentions.entities]
    return injector.build_rows(tokens, lengths, mentions, entities)


def processor_seconds(run: Callable[[], object], repeats: int = 3) -> float:
    """Least processor time of a call, in seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    return min(seconds)


def dense(injected: InjectedRows) -> torch.Tensor:
    """The visible matrices of a batch, as a model's forward pass makes them."""
    from kepipe.nn.visibility import tree

    visibility = tree(torch.from_numpy(injected.branch), torch.from_numpy(injected.mention))
    rows, length = injected.tokens.shape
    matrix = visibility.dense(rows, length, length)
    assert matrix is not None
    return matrix


def measure_injection(sentences: list[list[str]], graph: Graph, tokenizer: Tokenizer) -> Injector:
    """Print the rates; returns the injector with filled caches."""
    facts = read_facts(graph)
    rows = [to_row(words, facts, tokenizer) for words in sentences]
    injector = Injector(graph, tokenizer, KBert(length=LENGTH, upstream=True))
    batches = [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)]
    check_agreement(sentences, facts, injector, rows)
    n = len(sentences)
    reference_seconds = processor_seconds(
        lambda: [reference_injection(words, facts) for words in sentences], 1
    )
    seconds = processor_seconds(lambda: [inject(injector, batch) for batch in batches])
    seconds_with_masks = processor_seconds(lambda: [dense(inject(injector, batch)) for batch in batches])
    mean = sum(map(len, rows)) / n
    print(f"{n:,} sentences of {mean:.0f} tokens, {sum(len(r.mentions) for r in rows) / n:.1f} mentions each")
    print(f"sentence by sentence: {n / reference_seconds:,.0f} sentences/s")
    print(
        f"injected in batches of {BATCH}: {n / seconds:,.0f} sentences/s, "
        f"{reference_seconds / seconds:.0f} times as many"
    )
    print(
        f"with their visible matrices: {n / seconds_with_masks:,.0f} sentences/s, "
        f"{reference_seconds / seconds_with_masks:.0f} times as many"
    )
    for length in (256, 512, 1024):
        long_injector = Injector(graph, tokenizer, KBert(length=length))
        joined = [
            sum((words[1:] for words in sentences[first : first + 30]), ["[CLS]"])
            for first in range(0, 240, 30)
        ]
        long_rows = [to_row(words[: length // 2], facts, tokenizer) for words in joined]
        inject(long_injector, long_rows)
        tracemalloc.start()
        injected = inject(long_injector, long_rows)
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        tokens = len(long_rows) * injected.tokens.shape[1]
        print(
            f"rows of {injected.tokens.shape[1]}: {kept_bytes / tokens:.0f} bytes per token kept, "
            f"{peak_bytes / tokens:.0f} at most"
        )
    return injector


def check_agreement(
    sentences: list[list[str]], facts: Mapping[str, Sequence[str]], injector: Injector, rows: list[Row]
) -> None:
    """Check that both give the same positions and matrix, where each character is one token."""
    for words, row in list(zip(sentences, rows, strict=True))[:50]:
        _, positions, visible = reference_injection(words, facts)
        injected = inject(injector, [row])
        size = int(injected.lengths[0])
        if size == min(sum(len(units) for units in token_lists(words, facts)), LENGTH):
            assert injected.positions[0, :size].tolist() == positions[:size]
            assert (dense(injected)[0].numpy() == visible[:size, :size].astype(bool)).all()


def token_lists(words: Sequence[str], facts: Mapping[str, Sequence[str]]) -> list[list[int]]:
    """For each word and each of its facts, a list with as many entries as it has tokens."""
    texts = [text for word in words for text in (word, *list(facts.get(word, ()))[:BRANCHES])]
    return [[0] * (1 if text == "[CLS]" else len(text)) for text in texts]


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
        step(batch)  # initialisation
    seconds = np.array(
        [
            [processor_seconds(lambda: step(plain), 1), processor_seconds(lambda: step(trees), 1)]
            for _ in range(STEPS)
        ]
    )
    plain_s, trees_s = np.median(seconds, axis=0)
    low, ratio, high = np.quantile(seconds[:, 1] / seconds[:, 0], (0.25, 0.5, 0.75))
    print(
        f"training step of BERT-mini, {len(rows)} rows of {T}: plain {plain_s:.3f} s, trees {trees_s:.3f} s; ",
        end="",
    )
    print(f"of {STEPS} alternating pairs {ratio:.2f} times, the middle half {low:.2f} to {high:.2f}")


def main(graph_file: Path, texts_file: Path, count: int = 2000) -> None:
    """Print all measurements."""
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

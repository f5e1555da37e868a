"""Linking with a million aliases, words per second on one core: `python -m tests.benchmarks.linking [ALIASES] [WORDS]`.

Names have one to three random words, each entity has one fact; every tenth word of the text begins a name. Measured is
linking of raw text that is annotated by rules. Aims: 100,000 words/s, built in under 20 s, under 1 GiB. For comparison,
on a tenth of the text: spaCy's blank tokenizer, its EntityRuler with 100,000 names, and linking with spaCy's NER.
Finally the wall time of the stage `link` on forty times the text, with one process and with one per processor.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotator
from kepipe.linking.text.annotators import make_annotator
from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import write_graph

SYLLABLES = (
    "ka",
    "ro",
    "mi",
    "ten",
    "ul",
    "sha",
    "bor",
    "ve",
    "lin",
    "dra",
    "os",
    "pe",
    "gam",
    "zu",
    "ny",
    "fel",
)


def word(rng: np.random.Generator) -> str:
    """A word of two to four syllables."""
    return "".join(SYLLABLES[index] for index in rng.integers(0, len(SYLLABLES), rng.integers(2, 5)).tolist())


def make_graph(folder: Path, aliases: int, rng: np.random.Generator) -> Graph:
    """Half as many entities as names, each with a label and an alias."""
    words = sorted({word(rng).capitalize() for _ in range(40_000)})
    word_numbers = rng.integers(0, len(words), (aliases, 3))
    lengths = rng.integers(1, 4, aliases)
    names = [
        " ".join(words[number] for number in row[:length])
        for row, length in zip(word_numbers.tolist(), lengths.tolist(), strict=True)
    ]
    half = aliases // 2
    entities = [
        Entity(f"E{row}", names[row], (names[half + row],), "", (), float(row % 97)) for row in range(half)
    ]
    facts = [Triple(f"E{row}", "next", f"E{(row * 7 + 1) % half}") for row in range(half)]
    return write_graph(folder, entities, [Relation("next", "next")], {"train": facts})


def make_texts(graph: Graph, words: int, rng: np.random.Generator) -> list[str]:
    """Documents of 400 words in sentences of 20."""
    vocabulary = [word(rng) for _ in range(5_000)]
    texts = []
    for _ in range(words // 400):
        fillers = rng.integers(0, len(vocabulary), 360).tolist()
        labels = [graph.labels[row] for row in rng.integers(0, len(graph), 40).tolist()]
        parts = [vocabulary[index] for index in fillers]
        for number, label in enumerate(labels):
            parts[number * 9] = label
        texts.append(". ".join(" ".join(parts[start : start + 18]) for start in range(0, 360, 18)) + ".")
    return texts


def per_second(words: int, run: Callable[[], object]) -> str:
    """Words per second of processor time."""
    start = time.process_time()
    run()
    return f"{words / (time.process_time() - start):,.0f} words/s"


def compare_with_spacy(linker: Linker, labels: Sequence[str], texts: Sequence[str]) -> None:
    """The blank tokenizer, an EntityRuler with some of the names, and linking with spaCy's tagger, parser and NER."""
    import spacy

    words = sum(len(text.split()) for text in texts)
    tokenizer = spacy.blank("en").tokenizer
    print(f"spaCy's blank tokenizer: {per_second(words, lambda: list(tokenizer.pipe(texts)))}")
    pipeline = spacy.blank("en")  # a new one, whose tokenizer has no cached words
    start = time.process_time()
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": label} for label in labels])
    print(f"EntityRuler with {len(labels):,} names: built in {time.process_time() - start:.1f} s")
    print(f"EntityRuler: {per_second(words, lambda: list(pipeline.pipe(texts)))}")
    annotator = make_annotator("en", "en_core_web_sm")
    print(f"with spaCy's NER, linked: {per_second(words, lambda: link(linker, annotator, texts))}")


def link(linker: Linker, annotator: Annotator, texts: Sequence[str]) -> int:
    """Raw text → mentions; their number."""
    rows = zip(texts, [""] * len(texts), annotator.annotate(texts), strict=True)
    return sum(map(len, linker.link_all(rows)))


def compare_processes(graph: Path, linker: Path, texts: Sequence[str], folder: Path) -> None:
    """The stage `link`, from a file of documents to a file of linked ones, with one process and one per processor."""
    from kepipe.data.document import Document
    from kepipe.data.document_files import write_documents
    from kepipe.flow.stage import StageContext
    from kepipe.stages.artifacts import Corpus
    from kepipe.stages.artifacts import Graph as GraphArtifact
    from kepipe.stages.link import LINK

    words = sum(len(text.split()) for text in texts)
    corpus = folder / "corpus"
    corpus.mkdir()
    write_documents(corpus / "documents.jsonl", (Document(str(n), text) for n, text in enumerate(texts)))
    (corpus / "corpus.json").write_text('{"held_out_share": 0}')
    inputs = LINK.inputs(GraphArtifact(graph, ""), Corpus(corpus, ""))
    for workers in sorted({1, os.cpu_count() or 1}):
        context = StageContext(
            folder / f"out{workers}", folder / f"scratch{workers}", 0, "cpu", lambda event: None
        )
        context.out.mkdir()
        shutil.copytree(linker, context.scratch / "linker")  # so that the stage does not build it
        config = LINK.config.model_validate({"spacy_model": None, "train": False, "workers": workers})
        start = time.perf_counter()
        LINK.run(inputs, config, context)
        rate = words / (time.perf_counter() - start)
        print(f"stage link, {words:,} words, {workers} processes: {rate:,.0f} words/s of wall time")


def main(aliases: int = 1_000_000, words: int = 200_000) -> None:
    """Print processor time of building and opening, rates, and peak memory of the process."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        graph_folder, linker_folder = Path(folder, "graph"), Path(folder, "linker")
        graph = make_graph(graph_folder, aliases, rng)
        texts = make_texts(graph, words, rng)
        start = time.process_time()
        Linker.build(open_graph(graph_folder)).save(linker_folder)
        print(f"{aliases:,} aliases: built and saved in {time.process_time() - start:.1f} s")
        start = time.process_time()
        linker = Linker.open(linker_folder)
        linker.gazetteer.find("warm up")
        print(f"opened in {time.process_time() - start:.2f} s")
        count = sum(len(text.split()) for text in texts)
        annotator = make_annotator("en", None)
        print(f"annotated by rules, linked: {per_second(count, lambda: link(linker, annotator, texts))}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory of this process, making the graph included: {peak:.2f} GiB")
        compare_with_spacy(linker, graph.labels[: min(100_000, len(graph))], texts[: len(texts) // 10])
        compare_processes(graph_folder, linker_folder, texts * 40, Path(folder))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

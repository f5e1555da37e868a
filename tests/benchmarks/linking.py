"""Linking with a million aliases, words a second on one core: `python -m tests.benchmarks.linking [ALIASES] [WORDS]`.

Names of one to three invented words, entities in a ring of facts; text of which every tenth word begins a name. Raw
text → linked documents, read by rules. Aims: 100,000 words/s, built in under 20 s, under 1 GiB. Beside it, on a tenth
of the text: spaCy's bare tokenizer, its EntityRuler with 100,000 names, and linking with spaCy's NER. At last the
stage `link` over forty times the text, with one process and with as many as there are processors, by the clock.
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
    return "".join(SYLLABLES[place] for place in rng.integers(0, len(SYLLABLES), rng.integers(2, 5)).tolist())


def make_graph(folder: Path, aliases: int, rng: np.random.Generator) -> Graph:
    """Half as many entities as names, each with a label and an alias."""
    words = sorted({word(rng).capitalize() for _ in range(40_000)})
    picked = rng.integers(0, len(words), (aliases, 3))
    lengths = rng.integers(1, 4, aliases)
    names = [
        " ".join(words[place] for place in row[:length])
        for row, length in zip(picked.tolist(), lengths.tolist(), strict=True)
    ]
    half = aliases // 2
    entities = [
        Entity(f"E{row}", names[row], (names[half + row],), "", (), float(row % 97)) for row in range(half)
    ]
    facts = [Triple(f"E{row}", "next", f"E{(row * 7 + 1) % half}") for row in range(half)]
    return write_graph(folder, entities, [Relation("next", "next")], {"train": facts})


def make_texts(graph: Graph, words: int, rng: np.random.Generator) -> list[str]:
    """Documents of 400 words in sentences of 20."""
    filler = [word(rng) for _ in range(5_000)]
    texts = []
    for _ in range(words // 400):
        places = rng.integers(0, len(filler), 360).tolist()
        labels = [graph.labels[row] for row in rng.integers(0, len(graph), 40).tolist()]
        parts = [filler[place] for place in places]
        for number, label in enumerate(labels):
            parts[number * 9] = label
        texts.append(". ".join(" ".join(parts[start : start + 18]) for start in range(0, 360, 18)) + ".")
    return texts


def per_second(words: int, run: Callable[[], object]) -> str:
    """Words a second of this core alone, whatever else the machine does."""
    started = time.process_time()
    run()
    return f"{words / (time.process_time() - started):,.0f} words/s"


def compare_with_spacy(linker: Linker, labels: Sequence[str], texts: Sequence[str]) -> None:
    """The bare tokenizer, an EntityRuler of some of the names, and linking with spaCy's tagger, parser and NER."""
    import spacy

    words = sum(len(text.split()) for text in texts)
    tokenizer = spacy.blank("en").tokenizer
    print(f"spaCy's bare tokenizer: {per_second(words, lambda: list(tokenizer.pipe(texts)))}")
    blank = spacy.blank("en")  # another, whose tokenizer does not know the words yet
    started = time.process_time()
    blank.add_pipe("entity_ruler").add_patterns([{"label": "X", "pattern": label} for label in labels])
    print(f"EntityRuler with {len(labels):,} names: built in {time.process_time() - started:.1f} s")
    print(f"EntityRuler: {per_second(words, lambda: list(blank.pipe(texts)))}")
    annotator = make_annotator("en", "en_core_web_sm")
    print(f"with spaCy's NER, linked: {per_second(words, lambda: link(linker, annotator, texts))}")


def link(linker: Linker, annotator: Annotator, texts: Sequence[str]) -> int:
    """Raw text → mentions; their number."""
    rows = zip(texts, [""] * len(texts), annotator.annotate(texts), strict=True)
    return sum(map(len, linker.link_all(rows)))


def compare_processes(graph: Path, linker: Path, texts: Sequence[str], folder: Path) -> None:
    """The stage `link`, from a file of documents to a file of linked ones, by one process and by all."""
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
        shutil.copytree(linker, context.scratch / "linker")  # which then counts as built
        config = LINK.config.model_validate({"spacy_model": None, "train": False, "workers": workers})
        started = time.perf_counter()
        LINK.run(inputs, config, context)
        rate = words / (time.perf_counter() - started)
        print(f"stage link, {words:,} words, {workers} processes: {rate:,.0f} words/s by the clock")


def main(aliases: int = 1_000_000, words: int = 200_000) -> None:
    """Print processor time of building and opening, rates, and peak memory of the process."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        store, made = Path(folder, "graph"), Path(folder, "linker")
        graph = make_graph(store, aliases, rng)
        texts = make_texts(graph, words, rng)
        started = time.process_time()
        Linker.build(open_graph(store)).save(made)
        print(f"{aliases:,} aliases: built and saved in {time.process_time() - started:.1f} s")
        started = time.process_time()
        linker = Linker.open(made)
        linker.gazetteer.find("warm up")
        print(f"opened in {time.process_time() - started:.2f} s")
        count = sum(len(text.split()) for text in texts)
        annotator = make_annotator("en", None)
        print(f"read by rules, linked: {per_second(count, lambda: link(linker, annotator, texts))}")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"peak memory of this process, the making of the graph included: {peak:.2f} GiB")
        compare_with_spacy(linker, graph.labels[: min(100_000, len(graph))], texts[: len(texts) // 10])
        compare_processes(store, made, texts * 40, Path(folder))


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:]))

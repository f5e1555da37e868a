"""A model that links, distilled from the linker: how close, and how fast? `KEPIPE_DATA=… python -m
tests.benchmarks.linking_model [FOLDER [LAYERS …]]`.

The teacher is the linker with general weights over FB15k-237 and spaCy's NER. It links the beginnings of Wikipedia
articles (`corpora/codex-s-extracts.jsonl`); a student is fine-tuned on most of them, in one epoch: the lowest LAYERS
layers of MiniLM (default 2). Agreement is F1 with the teacher's links on articles that were held out, by exact span and
entity; then F1 on gold sets of `linking_kinds`. Words a second are processor time of one core, raw text → links. What
was made is kept in FOLDER.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kepipe.data.document import Document, Mention
from kepipe.data.document_files import from_record, read_documents, write_documents
from kepipe.finetuning.predictor import Predictor
from kepipe.linking.evaluation.score import Scores, count, summarise
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.casing import Casing, count_spellings
from kg.store import Graph as StoredGraph
from tests.benchmarks.linking_kinds import score
from tests.benchmarks.linking_sets import data, read_set, stored_graph

LONGEST = 900
"""Characters of an article that are read: up to the end of a sentence."""
KINDS = ("news", "wiki80")
"""Gold sets; none has texts of the articles."""


def articles() -> list[Document]:
    """The beginnings of the articles."""
    read = []
    with (data() / "corpora/codex-s-extracts.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            document = from_record(record, "")
            text = document.text[:LONGEST]
            end = text.rfind(". ") + 1
            read.append(replace(document, text=text[: end or LONGEST], mentions=(), gold=()))
    return read


Links = Callable[[Sequence[str]], Iterator[list[Link]]]


def by_linker(linker: Linker, model: str | None) -> Links:
    """Links by a linker."""
    annotator = make_annotator("en", model)

    def link(texts: Sequence[str]) -> Iterator[list[Link]]:
        rows = ((text, "", read) for text, read in zip(texts, annotator.annotate(texts), strict=True))
        for mentions in linker.link_all(rows):
            yield [Link(m.start, m.end, linker.row(m.entity)) for m in mentions]

    return link


def by_model(folder: Path, linker: Linker) -> Links:
    """Links by a model."""
    predictor = Predictor.open(folder)

    def link(texts: Sequence[str]) -> Iterator[list[Link]]:
        for record in predictor.predict(texts):
            yield [Link(m["start"], m["end"], linker.row(m["entity"])) for m in record["mentions"]]

    return link


def agreement(texts: Sequence[Document], linker: Linker, link: Links) -> tuple[Scores, float]:
    """F1 with the documents' own mentions, and words a second."""
    begun = time.process_time()
    found = list(link([text.text for text in texts]))
    seconds = time.process_time() - begun
    given = [[Link(m.start, m.end, linker.row(m.entity)) for m in text.mentions] for text in texts]
    counts = [count(links, own, complete=True) for links, own in zip(found, given, strict=True)]
    return summarise(counts), sum(len(text.text.split()) for text in texts) / seconds


def small_encoder(folder: Path, layers: int) -> Path:
    """The lowest layers of MiniLM."""
    from kepipe.models.assemble import assemble
    from kepipe.models.folder import save
    from kepipe.models.pretrained import from_pretrained, locate

    place = folder / f"minilm-{layers}"
    if not place.exists():
        whole = from_pretrained("minilm")
        small = assemble(replace(whole.config, encoder_layers=layers))
        own = small.state_dict()
        small.load_state_dict(
            {name: weight for name, weight in whole.state_dict().items() if name in own}, assign=True
        )
        save(place, small, tokenizer=locate("minilm"))
    return place


def distil(folder: Path, graph: Path, base: Path) -> Path:
    """The student, made once."""
    from kepipe.flow.stage import StageContext
    from kepipe.stages.artifacts import Graph, Model
    from kepipe.stages.finetune import FINETUNE
    from tests.support.toy_training import EventRecorder

    place = folder / f"student-{base.name}"
    if not (place / "out" / "task.json").exists():
        for part in ("out", "scratch"):
            (place / part).mkdir(parents=True, exist_ok=True)
        files = {split: str(folder / f"{split}.jsonl") for split in ("train", "dev", "test")}
        config = FINETUNE.config.model_validate(
            {"task": "entity-linking", "data": files, "length": 256, "epochs": 1, "learning_rate": 3e-4}
        )
        heard = EventRecorder()
        context = StageContext(place / "out", place / "scratch", 0, "cpu", heard)
        begun = time.process_time()
        FINETUNE.run(
            FINETUNE.inputs(start=Model(base, "", name="start"), graph=Graph(graph, "", name="graph")),
            config,
            context,
        )
        print(f"trained in {time.process_time() - begun:.0f} s of a core", flush=True)
        print(heard.notes(), flush=True)
    return place / "out"


def linked(folder: Path, graph: StoredGraph) -> Linker:
    """The teacher; what it links is written to train.jsonl, dev.jsonl and test.jsonl."""
    read = articles()
    linker = Linker.build(
        graph, Casing.count_with(graph.descriptions, count_spellings(text.text for text in read))
    )
    if not (folder / "train.jsonl").exists():
        link = by_linker(linker, "en_core_web_sm")
        begun = time.process_time()
        done = [
            replace(text, mentions=tuple(Mention(s, e, graph.ids[r]) for s, e, r in links))
            for text, links in zip(read, link([text.text for text in read]), strict=True)
        ]
        seconds = time.process_time() - begun
        words = sum(len(text.text.split()) for text in read)
        print(f"teacher: {words:,} words in {seconds:.0f} s of a core", flush=True)
        write_documents(folder / "test.jsonl", done[::10])
        write_documents(folder / "dev.jsonl", done[5::20])
        taught = [text for number, text in enumerate(done) if number % 10 and number % 20 != 5]
        write_documents(folder / "train.jsonl", taught)
        words, links = (
            sum(map(len, each)) for each in ([t.text.split() for t in taught], [t.mentions for t in taught])
        )
        print(f"to learn from: {len(taught):,} articles, {words:,} words, {links:,} links", flush=True)
    return linker


def main() -> None:
    """Print agreement, F1 on gold sets and speed of teacher, rules and student."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [int(layers) for layers in sys.argv[2:]] or [2]
    graph = stored_graph("FB15k-237", folder)
    linker = linked(folder, graph)
    held_out = list(read_documents(folder / "test.jsonl"))
    ways = {
        "linker with spaCy's NER (teacher)": by_linker(linker, "en_core_web_sm"),
        "linker by rules": by_linker(linker, None),
    }
    for layers in sizes:
        student = distil(folder, folder / "FB15k-237", small_encoder(folder, layers))
        ways[f"student, {layers} layers"] = by_model(student, linker)
    sets = {name: read_set(name, graph) for name in KINDS}
    print("| | agreement |", " | ".join(sets), "| words/s |")
    for who, link in ways.items():
        agree, speed = agreement(held_out, linker, link)
        figures = [
            score(gold, list(link([text.document.text for text in gold.texts]))).f1 for gold in sets.values()
        ]
        print(
            f"| {who} | {agree.f1:.3f} |",
            " | ".join(f"{f1:.3f}" for f1 in figures),
            f"| {speed:,.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()

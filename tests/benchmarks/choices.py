"""How often each ranking writes the triple that is asked for: `python -m tests.benchmarks.choices FOLDER`.

The folder is that of the pipeline `k-bert-choices` in its workspace, or of another with the stages `graph`,
`graph-dataset` and `embed`. Of each question the two triples are chosen that would be written beside the name;
nothing is trained.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from kepipe.arrays import pad
from kepipe.data.batch import MentionSpans
from kepipe.data.document import Mention
from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.name_matcher import to_tokens
from kepipe.tokenization.tokenizer import load_tokenizer
from kg.store import open_graph

BRANCHES = 2


def main(folder: Path, split: str = "test") -> None:
    """Print a line a ranking."""
    graph, tokenizer = open_graph(folder / "graph"), load_tokenizer("minilm")
    lines = (folder / "graph-dataset" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    encoded = tokenizer.encode([question["text"] for question in questions])
    ends = np.cumsum(encoded.lengths)
    places, entities, asked = [], [], []
    for row, (question, end) in enumerate(zip(questions, ends.tolist(), strict=True)):
        own = slice(end - int(encoded.lengths[row]), end)
        mention = Mention(**question["mentions"][0])
        first, stop, id = to_tokens(question["text"], [mention], encoded.starts[own], encoded.ends[own])[0]
        places.append((row, first, stop))
        entities.append(graph.row(id))
        asked.append((question["id"].split(" ", 1)[1], question["label"]))
    tokens, mentions = pad(encoded.tokens, encoded.lengths, tokenizer.pad), MentionSpans(*np.array(places).T)
    usual: list[set[tuple[int, ...]]] = []
    print(f"{len(questions)} questions, {BRANCHES} triples written beside the name")
    for choice in CHOICES:
        settings = KBert.model_validate({"choice": choice, "max_branches": BRANCHES})
        injector = Injector(graph, tokenizer, settings, vectors=folder / "embed")
        chosen = injector.choose(tokens, encoded.lengths, mentions, np.array(entities))
        written: list[set[tuple[int, ...]]] = [set() for _ in questions]
        for row, triple in zip(chosen.mentions.tolist(), chosen.triples.tolist(), strict=True):
            written[row].add(tuple(triple))
        usual = usual or written
        hit = [
            want in {(graph.relation(relation).label, graph.labels[tail]) for _, relation, tail in found}
            for want, found in zip(asked, written, strict=True)
        ]
        same = np.mean([one == other for one, other in zip(written, usual, strict=True)])
        print(
            f"{choice:10} the asked triple is written for {np.mean(hit):.3f}, the same as `graph` for {same:.3f}"
        )
    known = injector.chooser.facts.count(np.array(entities))
    luck = np.mean(np.minimum(BRANCHES / known, 1))
    print(
        f"at random  the asked triple would be written for {luck:.3f}; {known.mean():.1f} triples an entity"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

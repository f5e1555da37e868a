"""Stage `link`: documents + graph → sentences, phrases and mentions, and how good the mentions are."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from kepipe.config import Section, runtime_only
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Corpus, Graph, Linked

if TYPE_CHECKING:
    from kepipe.linking.corpus.chunks import Chunk, Job
    from kepipe.linking.training.learn import Learned


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
    """Mentions with a lower score are left out; auto: as `link train` chooses it, else 0.4, as general."""
    fuzzy: float | None = Field(None, ge=0, le=100)
    """What looks like a name, is not linked, and is at least so like a name of the graph (90, say) means it too."""
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
    """Write `documents.jsonl`, `corpus.json`, `scores.json` and `linker/`."""
    from kepipe.linking.corpus.chunks import (
        Job,
        build_linker,
        concatenate,
        cut,
        link_chunk,
        read_chunk,
        read_counts,
    )
    from kepipe.linking.linker import Linker

    job = Job(
        inputs.corpus.folder / "documents.jsonl", context.scratch, inputs.graph.folder, context.scratch / "linker",
        config.language, config.spacy_model, config.ner, inputs.corpus.held_out_share(), config.complete_gold,
        config.fuzzy,
    )  # fmt: skip
    chunks = cut(job.documents)
    build_linker(job, config.max_candidates, config.min_length)
    _each(context, config, "reading", chunks, read_chunk, job)
    learned = _learn(job, chunks, config) if config.train else None
    linker = Linker.open(job.linker)
    ranker = linker.ranker if learned is None else learned.ranker
    ranker = replace(ranker, pronouns=config.pronouns)
    if config.threshold != "auto":
        ranker = replace(ranker, threshold=config.threshold)
    _each(context, config, "linking", chunks, link_chunk, job, ranker)
    linker.with_ranker(ranker).save(context.out / "linker")
    concatenate(context.scratch, chunks, context.out / "documents.jsonl")
    corpus = (inputs.corpus.folder / "corpus.json").read_bytes()
    (context.out / "corpus.json").write_bytes(corpus)
    scores = _score(read_counts(context.scratch, chunks), learned, config)
    (context.out / "scores.json").write_text(json.dumps(scores, indent=1), encoding="utf-8")
    _tell(context, config, scores, linker.with_ranker(ranker))


def _each(
    context: StageContext,
    config: LinkConfig,
    what: str,
    chunks: Sequence[Chunk],
    do: Callable[..., int],
    *args: Any,
) -> None:
    """`do(*args, chunk)` for all chunks over the processors, with a progress bar in documents."""
    with context.progress(what, sum(chunk.size for chunk in chunks), "documents") as tick:
        for done in _parallel(config, do, chunks, *args):
            tick(done)


def _parallel(
    config: LinkConfig, do: Callable[..., Any], chunks: Sequence[Chunk], *args: Any
) -> Iterator[Any]:
    from joblib import Parallel, delayed, parallel_config

    # loky renews a process that has grown much, as one does that loads spaCy; no job is lost by it.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
    # One thread a process: more would only wait for each other.
    with parallel_config("loky", inner_max_num_threads=1):
        run = Parallel(n_jobs=config.workers, return_as="generator")
        yield from run(delayed(do)(*args, chunk) for chunk in chunks)


def _learn(job: Job, chunks: Sequence[Chunk], config: LinkConfig) -> Learned | None:
    from kepipe.linking.corpus.chunks import examples
    from kepipe.linking.linker import Linker
    from kepipe.linking.training.learn import learn

    found = [example for part in _parallel(config, examples, chunks, job) for example in part]
    return learn(found, len(Linker.open(job.linker).knowledge.type_names), config.complete_gold)


PRECISION_ON = {
    True: "all predictions",
    False: "predictions that overlap a given link; given links mark only some of the mentions",
}


def _score(counts: list[dict[str, Any]], learned: Learned | None, config: LinkConfig) -> dict[str, Any]:
    """Linker and baseline (longest exact name, likeliest entity) side by side, where there are given links."""
    from kepipe.linking.evaluation.score import Counts, summarise

    def scores(part: list[dict[str, Any]], who: str) -> dict[str, Any]:
        return summarise([Counts(*entry[who]) for entry in part]).to_json()

    held = [entry for entry in counts if entry["held_out"]]
    rest = [entry for entry in counts if not entry["held_out"]]
    if not counts:
        return {"linker": {}, "baseline": {}, "note": "the corpus has no given links to score against"}
    found, wanted = (sum(entry["candidates"][place] for entry in counts) for place in (0, 1))
    report: dict[str, Any] = {
        "linker": scores(held, "linker"),
        "baseline": scores(held, "baseline"),
        "candidate_recall": round(found / wanted, 6) if wanted else 0.0,
        "documents": {"held_out": len(held), "training": len(rest)},
        "precision_on": PRECISION_ON[config.complete_gold],
        "trained": learned is not None,
    }
    if learned is not None:
        report["cross_validated"] = {
            "linker": learned.validation.to_json(),
            "baseline": scores(rest, "baseline"),
        }
    return report


def _tell(context: StageContext, config: LinkConfig, scores: dict[str, Any], linker: Any) -> None:
    with (context.out / "documents.jsonl").open(encoding="utf-8") as stream:
        mentions = sum(len(json.loads(line).get("mentions", ())) for line in stream)
    threshold = linker.ranker.threshold
    context.log({"mentions": mentions, "threshold": threshold})
    note = f"{mentions:,} mentions linked"
    if scores["linker"]:
        linked, baseline = scores["linker"], scores["baseline"]
        for who in ("linker", "baseline"):
            context.log(
                {f"{who}.{name}": scores[who][name] for name in ("precision", "recall", "f1", "macro_f1")}
            )
        context.log({"candidate_recall": scores["candidate_recall"]})
        note += f"; F1 {linked['f1']:.3f} on held-out links, exact names {baseline['f1']:.3f}"
    context.note(note)
    if not mentions:
        context.warn(
            f"no name of the graph was found: are the labels and aliases of its entities in the language of the text, "
            f"and is that `language: {config.language}`?"
        )


LINK = Stage("link", 10, LinkInputs, LinkConfig, Linked, link)

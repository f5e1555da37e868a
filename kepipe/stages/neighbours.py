"""Stage `neighbours`: selects from unlabelled texts those nearest to a task's texts, for task-adaptive pretraining.

Curated task-adaptive pretraining (Gururangan et al. 2020, "Don't Stop Pretraining", §5.2: kNN-TAPT, and as its control
RAND-TAPT). The search is exact; the unlabelled texts stay on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from kepipe.arrays import Ints
from kepipe.config import ConfigConflict, Section, UserSource
from kepipe.data.script import Language
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Corpus, Model

if TYPE_CHECKING:
    from kepipe.data.document import Document


@dataclass(frozen=True)
class NeighboursInputs:
    """The unlabelled texts, the task's texts, and the encoder whose vectors are compared."""

    corpus: Corpus
    examples: Corpus
    encoder: Model | None = None


class NeighboursConfig(Section):
    """How texts are selected."""

    by: Literal["tf-idf", "encoder", "random"] = "tf-idf"
    """`tf-idf`: similarity of weighted words; `encoder`: of an encoder's vectors; `random`: as many random texts, as a
    control."""
    k: int = Field(5, ge=1)
    """Number of nearest texts per text of the task."""
    most: int | None = Field(None, ge=1)
    """Maximum number of distinct texts, the nearest of all examples first; makes arms equal in size."""
    unit: Literal["sentence", "document"] = "sentence"
    """The unit that is selected."""
    language: Language = "en"
    """Language of the rules for sentence boundaries."""
    encoder: UserSource | None = None
    """The encoder, if no stage makes it: `minilm`, a folder, a hub id."""
    length: int = Field(128, ge=8)
    """Maximum number of tokens that the encoder reads."""
    with_examples: bool = True
    """Whether the output includes the texts of the task."""


def neighbours(inputs: NeighboursInputs, config: NeighboursConfig, context: StageContext) -> None:
    """Write a corpus of the nearest texts. Raises ValueError if there are none."""
    from kepipe.data.corpus_files import write_corpus, write_report
    from kepipe.data.document_files import read_documents
    from kg.problems import Problems

    pool = context.scratch / "pool.jsonl"
    count = _write_units(inputs.corpus.folder / "documents.jsonl", pool, config, context)
    examples = inputs.examples.folder / "documents.jsonl"
    queries = [document.text for document in read_documents(examples)]
    chosen = _SEARCH[config.by](pool, count, queries, inputs, config, context)
    if not len(chosen):
        raise ValueError(
            f"`{inputs.corpus.name}` has no text with anything in common with `{inputs.examples.name}`"
        )
    share, wanted = inputs.examples.held_out_share(), set(chosen.tolist())
    near = (document for row, document in enumerate(read_documents(pool)) if row in wanted)
    documents = chain(read_documents(examples), near) if config.with_examples else near
    counts = write_corpus(context.out, documents, share)
    del counts["mentions"]
    write_report(context.out, counts, share, Problems())
    context.log({**counts, "candidates": count, "chosen": len(chosen)})
    context.note(f"{len(chosen):,} of {count:,} texts chosen for {len(queries):,} of the task")


def _write_units(source: Path, file: Path, config: NeighboursConfig, context: StageContext) -> int:
    """Write the candidate texts, one per line; returns their number."""
    from kepipe.data.document_files import read_documents, write_documents

    with context.progress("reading", source.stat().st_size, "bytes") as tick:

        def units() -> Iterator[Document]:
            for document in read_documents(source):
                yield from _units(document, config)
                tick(len(document.text))

        return write_documents(file, units())


def _units(document: Document, config: NeighboursConfig) -> Iterator[Document]:
    from kepipe.data.document import Document
    from kepipe.linking.text.annotators import rule_sentences

    if config.unit == "document":
        yield Document(document.id, document.text)
        return
    for number, span in enumerate(document.sentences or rule_sentences(document.text, config.language)):
        yield Document(f"{document.id}/{number}", document.text[span.start : span.end])


def _texts(pool: Path) -> Iterator[str]:
    from kepipe.data.document_files import read_documents

    return (document.text for document in read_documents(pool))


def _by_words(
    pool: Path,
    count: int,
    queries: list[str],
    _inputs: NeighboursInputs,
    config: NeighboursConfig,
    context: StageContext,
) -> Ints:
    from kepipe.data.content import content_words
    from kepipe.data.nearest import by_tf_idf, choose

    with context.progress("comparing words", 2 * count, "texts") as tick:
        found = by_tf_idf(queries, partial(_texts, pool), content_words, config.k, tick)
    return choose(found, config.most)


def _by_encoder(
    pool: Path,
    count: int,
    queries: list[str],
    inputs: NeighboursInputs,
    config: NeighboursConfig,
    context: StageContext,
) -> Ints:
    from kepipe.data.nearest import by_vectors, choose
    from kepipe.inference.text_vectors import open_text_vectors, write_vectors
    from kepipe.models.pretrained import locate

    folder = inputs.encoder.folder if inputs.encoder is not None else locate(str(config.encoder))
    vectors = open_text_vectors(folder, length=config.length, device=context.device)
    with context.progress("encoding", count, "texts") as tick:
        vectors_ND = write_vectors(context.scratch / "vectors.f16", _texts(pool), vectors, tick)
    with context.progress("comparing vectors", count, "texts") as tick:
        found = by_vectors(vectors(queries), vectors_ND, config.k, tick)
    return choose(found, config.most)


def _random(
    _pool: Path,
    count: int,
    queries: list[str],
    _inputs: NeighboursInputs,
    config: NeighboursConfig,
    context: StageContext,
) -> Ints:
    """As many random texts as `_by_words` selects at most."""
    most = config.k * len(queries) if config.most is None else config.most
    return np.sort(np.random.default_rng(context.seed).permutation(count)[:most])


Search = Callable[[Path, int, list[str], NeighboursInputs, NeighboursConfig, StageContext], Ints]
_SEARCH: Mapping[str, Search] = {"tf-idf": _by_words, "encoder": _by_encoder, "random": _random}


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """An encoder that is missing, given twice, or not used."""
    config: NeighboursConfig = stage.config
    given = (stage.input("encoder") is not None) + (config.encoder is not None)
    if config.by == "encoder" and given != 1:
        yield ConfigConflict(
            "encoder",
            "give the encoder whose vectors are compared, either by `encoder: minilm` or by `inputs: {encoder: …}`",
        )
    elif config.by != "encoder" and given:
        yield ConfigConflict("encoder", f"has no effect with `by: {config.by}`: remove it")


def fingerprint(config: NeighboursConfig) -> Mapping[str, str]:
    """Digests of the encoder's files."""
    from kepipe.models.base import Base
    from kepipe.models.base import fingerprint as of_base

    return {} if config.encoder is None else of_base(Base.model_validate({"from": config.encoder}))


def _figures(_: Planned) -> Collection[str]:
    return ("documents", "words", "characters", "gold", "held_out", "candidates", "chosen")


NEIGHBOURS = Stage(
    "neighbours",
    1,
    NeighboursInputs,
    NeighboursConfig,
    Corpus,
    neighbours,
    fingerprint,
    conflicts,
    figures=_figures,
)

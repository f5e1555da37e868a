"""Stage `corpus`: text from where the user has it → `documents.jsonl`, with a count of what was read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserPaths, runtime_only
from kepipe.data.sources.table import SOURCES, Reading, SourceName, described
from kepipe.flow.artifact import hash_json
from kepipe.flow.stage import Nothing, Planned, Stage, StageContext
from kepipe.stages.artifacts import Corpus
from kg.problems import Problems

if TYPE_CHECKING:
    from kepipe.data.document import Document


class CorpusConfig(Section):
    """Which text."""

    source: SourceName = Field("wikipedia-sample", description=f"{described()}.")
    path: UserPaths | None = runtime_only(None)
    """For `folder`: a folder of .txt, .jsonl, .parquet and .tsv files, or one such file, or a list of these."""
    strict: bool = False
    """Refuse bad lines instead of skipping and counting them."""
    max_documents: int | None = None
    """Read no more than this many documents."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the documents kept for evaluation, chosen by a hash of their ids: no stage learns from them."""


def corpus(_inputs: Nothing, config: CorpusConfig, context: StageContext) -> None:
    """Write `documents.jsonl` and `corpus.json`. Raises ValueError where there is no text at all."""
    from kepipe.data.document_files import held_out, to_line
    from kepipe.data.sections import sections

    problems = Problems(strict=config.strict)
    counts = dict.fromkeys(("documents", "words", "characters", "anchors", "held_out"), 0)
    with (context.out / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for document in chain.from_iterable(map(sections, _read(config, problems, context))):
            stream.write(to_line(document))
            counts["documents"] += 1
            counts["words"] += len(document.text.split())
            counts["characters"] += len(document.text)
            counts["anchors"] += len(document.gold)
            counts["held_out"] += held_out(document.id, config.held_out)
    if problems:
        context.warn(problems.summary())
    if not counts["documents"]:
        raise ValueError(f"{_where(config)}: the corpus is empty: no document with any text was found")
    report = counts | {"held_out_share": config.held_out, "bad_lines": problems.to_json()}
    (context.out / "corpus.json").write_text(
        json.dumps(report, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    context.log(counts)
    context.note(f"{counts['documents']:,} documents, {counts['words']:,} words")
    context.dataset(_where(config), hash_json(fingerprint(config)), counts)


def fingerprint(config: CorpusConfig) -> Mapping[str, str]:
    """Digests of the files that will be read."""
    return SOURCES[config.source].digests(_paths(config))


def conflicts(planned: Planned) -> Iterable[ConfigConflict]:
    """A source without the path that it needs."""
    try:
        _paths(planned.config)
    except ValueError as error:
        yield ConfigConflict("source", str(error))


def _read(config: CorpusConfig, problems: Problems, context: StageContext) -> Iterator[Document]:
    source = SOURCES[config.source]
    for name in _options():
        if name in config.model_fields_set and name not in source.options:
            context.warn(f"corpus: `{name}` means nothing to the source {config.source}")
    reading = Reading(_paths(config), config.max_documents, problems, context.progress, context.note)
    return islice(source.read(reading), config.max_documents)


def _options() -> set[str]:
    """Settings that some source does not heed."""
    return {name for source in SOURCES.values() for name in source.options}


def _paths(config: CorpusConfig) -> tuple[Path, ...]:
    """The user's text; none where the source needs none. Raises ValueError where it should be said and is not."""
    needed = SOURCES[config.source].path
    if not needed:
        return ()
    if config.path is None:
        raise ValueError(f"`source: {config.source}` needs `path`: {needed}")
    return config.path


def _where(config: CorpusConfig) -> str:
    return ", ".join(map(str, _paths(config))) or config.source


CORPUS = Stage("corpus", 2, Nothing, CorpusConfig, Corpus, corpus, fingerprint, conflicts)

"""Stage `corpus`: text from where the user has it → `documents.jsonl`, with a count of what was read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserPaths, runtime_only
from kepipe.data.sources.table import SOURCES, Dataset, Reading, SourceName, described
from kepipe.flow.artifact import hash_json
from kepipe.flow.stage import Nothing, Planned, Stage, StageContext
from kepipe.stages.artifacts import Corpus
from kg.problems import Problems

if TYPE_CHECKING:
    from kepipe.data.document import Document


class DatasetConfig(Section):
    """A data set of Hugging Face's hub."""

    name: str
    """Its id, `owner/name`."""
    config: str | None = None
    """Its configuration, where it has several."""
    split: str = "train"
    """The split."""
    column: str = "text"
    """The column of texts."""
    revision: str | None = None
    """A commit of it: what is read then never changes. Without, a result is not made anew when the data set changes."""


class CorpusConfig(Section):
    """Which text."""

    source: SourceName = Field("wikipedia-sample", description=f"{described()}.")
    path: UserPaths | None = runtime_only(None)
    """For `folder`: a folder of text files (docs/formats.md), or one such file, or a list of these."""
    documents: Literal["auto", "file", "blank-line", "line"] = "auto"
    """Where documents end in a plain text: at the end of the file, at each blank line, at each line, or, where most
    lines end as sentences do and most stretches between blank lines have several, at blank lines by itself."""
    dataset: DatasetConfig | None = None
    """For `hugging-face`: which data set."""
    strict: bool = False
    """Refuse bad lines instead of skipping and counting them."""
    max_documents: int | None = None
    """Read no more than this many documents."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the documents kept for evaluation, chosen by a hash of their ids: no stage learns from them."""


ONE_DOCUMENT = (
    "the whole text is one document of {words:,} words: nothing can be held out of it. Where blank lines or lines part "
    "documents, say `documents: blank-line` or `documents: line`; or give a file a document, or JSON lines with a "
    "`text` each"
)
NO_GOLD = (
    "the texts bring {mentions:,} `mentions`, which are a linker's and are found anew: links that people gave, from "
    "which the linker learns and by which it is scored, are called `gold`"
)


def corpus(_inputs: Nothing, config: CorpusConfig, context: StageContext) -> None:
    """Write `documents.jsonl` and `corpus.json`. Raises ValueError where there is no text at all."""
    from kepipe.data.document_files import held_out, to_line
    from kepipe.data.sections import sections

    problems = Problems(strict=config.strict)
    counts = dict.fromkeys(("documents", "words", "characters", "gold", "held_out"), 0)
    mentions = 0
    with (context.out / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for document in chain.from_iterable(map(sections, _read(config, problems, context))):
            stream.write(to_line(document))
            counts["documents"] += 1
            counts["words"] += len(document.text.split())
            counts["characters"] += len(document.text)
            counts["gold"] += len(document.gold)
            mentions += len(document.mentions)
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
    if counts["documents"] == 1 and config.max_documents != 1:
        context.warn(ONE_DOCUMENT.format(words=counts["words"]))
    if mentions and not counts["gold"]:
        context.warn(NO_GOLD.format(mentions=mentions))
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
    asked = config.dataset
    dataset = None if asked is None else Dataset(**asked.model_dump())
    reading = Reading(
        _paths(config),
        config.max_documents,
        problems,
        context.progress,
        context.note,
        config.documents,
        dataset,
    )
    return islice(source.read(reading), config.max_documents)


def _options() -> set[str]:
    """Settings that some source does not heed."""
    return {name for source in SOURCES.values() for name in source.options}


def _paths(config: CorpusConfig) -> tuple[Path, ...]:
    """The user's text; none where the source needs none. Raises ValueError where it should be said and is not."""
    if "dataset" in SOURCES[config.source].options and config.dataset is None:
        raise ValueError(f"`source: {config.source}` needs `dataset: {{name: owner/name}}`")
    needed = SOURCES[config.source].path
    if not needed:
        return ()
    if config.path is None:
        raise ValueError(f"`source: {config.source}` needs `path`: {needed}")
    return config.path


def _where(config: CorpusConfig) -> str:
    return ", ".join(map(str, _paths(config))) or config.source


def first_documents(config: CorpusConfig, number: int = 20) -> list[Document]:
    """The first documents of the user's own text, bad lines left out; none of a text that comes with kepipe, and of
    one that cannot be read, which the stage tells of itself."""
    if not SOURCES[config.source].path:
        return []

    @contextmanager
    def silent(*_: object) -> Iterator[Callable[[int], None]]:
        yield lambda _: None

    reading = Reading(_paths(config), number, Problems(), silent, lambda _: None, config.documents)
    try:
        return list(islice(SOURCES[config.source].read(reading), number))
    except (ValueError, OSError):
        return []


def inspect(stage: Planned) -> Iterator[str]:
    """A corpus that is one document."""
    if len(first := first_documents(stage.config, 2)) == 1:
        yield ONE_DOCUMENT.format(words=len(first[0].text.split()))


CORPUS = Stage("corpus", 4, Nothing, CorpusConfig, Corpus, corpus, fingerprint, conflicts, inspect=inspect)

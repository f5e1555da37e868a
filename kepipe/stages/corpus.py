"""Stage `corpus`: reads the user's text → `documents.jsonl`, with counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserPaths, runtime_only
from kepipe.data.sources.table import SOURCES, Dataset, Reading, SourceName, described
from kepipe.finetuning.table import TaskName
from kepipe.flow.artifact import hash_json
from kepipe.flow.source_digests import digest_source
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
    """Its configuration, if it has several."""
    split: str = "train"
    """The split."""
    column: str = "text"
    """The column of texts."""
    revision: str | None = None
    """A commit of the data set. Without one, later changes of the data set do not cause a new run of the stage."""


class CorpusConfig(Section):
    """The text to read."""

    source: SourceName = Field("wikipedia-sample", description=f"{described()}.")
    path: UserPaths | None = runtime_only(None)
    """For `folder`: a folder of text files (docs/formats.md), or one such file, or a list of these."""
    documents: Literal["auto", "file", "blank-line", "line"] = "auto"
    """How a plain text is split into documents: one per file, at blank lines, or one per line. auto: at blank lines if
    most lines end like sentences and most blocks between blank lines have several lines."""
    dataset: DatasetConfig | None = None
    """For `hugging-face`: which data set."""
    strict: bool = False
    """Fail on invalid lines instead of skipping and counting them."""
    task: TaskName = "classification"
    """For `task` and `exclude`: the task of the files (docs/tasks.md)."""
    exclude: UserPaths | None = runtime_only(None)
    """Files of the task whose texts must not be in the corpus, such as its dev and test data: a document that shares 13
    consecutive words with one of them is skipped and counted, or an error with `strict`."""
    max_documents: int | None = Field(None, ge=1)
    """Read no more than this many documents."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the documents held out for evaluation, chosen by a hash of their ids; no stage trains on them."""


ONE_DOCUMENT = (
    "the whole text is one document of {words:,} words: nothing can be held out of it. If blank lines or lines "
    "separate documents, set `documents: blank-line` or `documents: line`; or give one file per document, or JSON "
    "lines with `text`"
)
NO_GOLD = (
    "the {mentions:,} `mentions` of the texts are ignored: the linker finds them again. Manual links, which train and "
    "score the linker, belong in `gold`"
)

EXCLUDED = "{count:,} documents contain texts of `exclude` and are skipped, such as {first}"


def corpus(_inputs: Nothing, config: CorpusConfig, context: StageContext) -> None:
    """Write `documents.jsonl` and `corpus.json`. Raises ValueError if there is no text at all."""
    from kepipe.data.corpus_files import write_corpus, write_report
    from kepipe.data.sections import sections

    problems = Problems(strict=config.strict)
    documents = chain.from_iterable(map(sections, _read(config, problems, context)))
    excluded: list[str] = []
    counts = write_corpus(context.out, _permitted(documents, config, excluded), config.held_out)
    mentions = counts.pop("mentions")
    if problems:
        context.warn(problems.summary())
    if excluded:
        context.warn(EXCLUDED.format(count=len(excluded), first=", ".join(excluded[:3])))
    if not counts["documents"]:
        raise ValueError(f"{_where(config)}: the corpus is empty: no document with any text was found")
    if config.exclude is not None:
        counts["excluded"] = len(excluded)
    write_report(context.out, counts, config.held_out, problems)
    context.log(counts)
    context.note(f"{counts['documents']:,} documents, {counts['words']:,} words")
    if counts["documents"] == 1 and config.max_documents != 1:
        context.warn(ONE_DOCUMENT.format(words=counts["words"]))
    if mentions and not counts["gold"]:
        context.warn(NO_GOLD.format(mentions=mentions))
    context.dataset(_where(config), hash_json(fingerprint(config)), counts)


def fingerprint(config: CorpusConfig) -> Mapping[str, str]:
    """Digests of the files that will be read."""
    digests = SOURCES[config.source].digests(_paths(config))
    excluded = {f"exclude/{number}": digest_source(file) for number, file in enumerate(config.exclude or ())}
    return {**digests, **excluded}


def conflicts(planned: Planned) -> Iterable[ConfigConflict]:
    """A source without its path, or a task's texts without `exclude`."""
    config: CorpusConfig = planned.config
    try:
        _paths(config)
    except ValueError as error:
        yield ConfigConflict("source", str(error))
    if config.source == "task" and config.exclude is None:
        yield ConfigConflict(
            "exclude",
            "set the files whose texts must not be trained on because models are evaluated on them: "
            "`exclude: [dev.jsonl, test.jsonl]`; `exclude: []` if there are none",
        )


def _permitted(
    documents: Iterable[Document], config: CorpusConfig, excluded: list[str]
) -> Iterator[Document]:
    """The documents without those that contain a text of `exclude`, whose ids are added to `excluded`. With `strict`,
    raises ValueError for the first one."""
    from kepipe.finetuning.texts import known_texts

    if not config.exclude:
        yield from documents
        return
    known = known_texts(config.task, config.exclude, Problems(strict=True))
    for document in documents:
        if not known.found_in(document.text):
            yield document
            continue
        if config.strict:
            raise ValueError(f"{_where(config)}: `{document.id}` contains a text of `exclude`")
        excluded.append(document.id)


def _read(config: CorpusConfig, problems: Problems, context: StageContext) -> Iterator[Document]:
    from kepipe.finetuning.texts import read_documents

    source = SOURCES[config.source]
    for name in _options():
        if name in config.model_fields_set and name not in source.options:
            context.warn(f"corpus: `{name}` has no effect for the source {config.source}")
    dataset = None if config.dataset is None else Dataset(**config.dataset.model_dump())
    reading = Reading(
        _paths(config),
        config.max_documents,
        problems,
        context.progress,
        context.note,
        config.documents,
        dataset,
        partial(read_documents, config.task),
    )
    return islice(source.read(reading), config.max_documents)


def _options() -> set[str]:
    """Settings that are specific to some sources."""
    return {name for source in SOURCES.values() for name in source.options}


def _paths(config: CorpusConfig) -> tuple[Path, ...]:
    """Paths of the user's text; empty if the source needs none. Raises ValueError if a required one is missing."""
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
    """The first documents of the user's text, without invalid lines; empty for included texts, and for an unreadable
    one, which the stage reports itself."""
    if not SOURCES[config.source].path:
        return []

    @contextmanager
    def silent(*_: object) -> Iterator[Callable[[int], None]]:
        yield lambda _: None

    from kepipe.finetuning.texts import read_documents

    reading = Reading(
        _paths(config),
        number,
        Problems(),
        silent,
        lambda _: None,
        config.documents,
        read_task=partial(read_documents, config.task),
    )
    try:
        return list(islice(SOURCES[config.source].read(reading), number))
    except (ValueError, OSError):
        return []


def inspect(stage: Planned) -> Iterator[str]:
    """Warn if the corpus is a single document."""
    if len(first := first_documents(stage.config, 2)) == 1:
        yield ONE_DOCUMENT.format(words=len(first[0].text.split()))


CORPUS = Stage("corpus", 4, Nothing, CorpusConfig, Corpus, corpus, fingerprint, conflicts, inspect=inspect)

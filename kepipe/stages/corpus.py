"""Stage `corpus`: text from where the user has it → `documents.jsonl`, with a count of what was read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Literal

from pydantic import Field

from kepipe.config import Section, UserPaths, runtime_only
from kepipe.data.document import Document
from kepipe.flow.artifact import hash_file, hash_json
from kepipe.flow.stage import Nothing, Stage, StageContext
from kepipe.stages.artifacts import Corpus
from kg.problems import Problems


class CorpusConfig(Section):
    """Which text."""

    source: Literal["wikipedia-sample", "folder"] = "wikipedia-sample"
    """`wikipedia-sample`: 106 articles from gensim's wheel, with their link anchors; `folder`: your own files."""
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

    problems = Problems(strict=config.strict)
    counts = dict.fromkeys(("documents", "words", "characters", "anchors", "held_out"), 0)
    with (context.out / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for document in islice(_documents(config, problems, context), config.max_documents):
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
    from kepipe.data.sources.folder import list_files
    from kepipe.data.sources.wikipedia import sample_file

    if config.source == "wikipedia-sample":
        return {sample_file().name: hash_file(sample_file())}
    paths = _paths(config)
    digests: dict[str, str] = {}
    for number, path in enumerate(paths):
        root, before = path if path.is_dir() else path.parent, f"{number}/" if len(paths) > 1 else ""
        digests |= {before + file.relative_to(root).as_posix(): hash_file(file) for file in list_files(path)}
    return digests


def _documents(config: CorpusConfig, problems: Problems, context: StageContext) -> Iterator[Document]:
    from kepipe.data.sources.folder import list_files, read_folders

    if config.source == "wikipedia-sample":
        return _wikipedia(config, context)
    paths = _paths(config)
    context.note(f"reading {sum(len(list_files(path)) for path in paths)} files of {_where(config)}")
    return _ticked(read_folders(paths, problems), context)


def _wikipedia(config: CorpusConfig, context: StageContext) -> Iterator[Document]:
    """Parsing markup takes most of the time, so the pages go over the processors."""
    from joblib import Parallel, delayed

    from kepipe.data.sources.wikipedia import read_pages, sample_file, to_document

    pages = list(islice(read_pages(sample_file()), config.max_documents))
    run = Parallel(n_jobs=-1, return_as="generator")
    with context.progress("parsing Wikipedia", len(pages), "documents") as tick:
        for document in run(delayed(to_document)(page) for page in pages):
            tick(1)
            if document.text:
                yield document


def _ticked(documents: Iterable[Document], context: StageContext) -> Iterator[Document]:
    with context.progress("reading", None, "documents") as tick:
        for document in documents:
            tick(1)
            yield document


def _paths(config: CorpusConfig) -> tuple[Path, ...]:
    if config.path is None:
        raise ValueError(
            "corpus: `source: folder` needs `path`, a folder of .txt, .jsonl, .parquet or .tsv files"
        )
    return config.path


def _where(config: CorpusConfig) -> str:
    return ", ".join(map(str, _paths(config))) if config.source == "folder" else config.source


CORPUS = Stage("corpus", 1, Nothing, CorpusConfig, Corpus, corpus, fingerprint)

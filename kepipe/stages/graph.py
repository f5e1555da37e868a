"""Stage `graph`: a knowledge graph source → a stored graph with train, valid and test triples."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserPath, runtime_only
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import Nothing, Planned, Stage, StageContext
from kepipe.stages.artifacts import Graph
from kg.problems import Problems
from kg.sources.reading import Choices, Relations
from kg.sources.table import FORMATS, Format, read_source, size
from kg.splits import hold_out
from kg.writer import GraphWriter

Share = Annotated[float, Field(ge=0, le=0.4)]
if TYPE_CHECKING:
    SourceName = str
else:
    SourceName = Literal[tuple(FORMATS)]
    """The name of a source, as the type of the config's field."""


def _for(option: str) -> str:
    """The sources that have an option."""
    return "For " + ", ".join(f"`{name}`" for name, format in FORMATS.items() if option in format.options)


class RelationsConfig(Section):
    """Relations by id or label."""

    include: tuple[str, ...] = ()
    """Only these relations; empty: all."""
    exclude: tuple[str, ...] = ()
    """Not these relations."""


class GraphConfig(Section):
    """Where the graph comes from. Sources and their options are described in docs/formats.md."""

    source: SourceName = Field(
        "geonames",
        description="; ".join(f"`{name}`: {format.about}" for name, format in FORMATS.items()) + ".",
    )
    path: UserPath | None = runtime_only(None)
    """The file or folder; not needed for sources that include their data."""
    languages: tuple[str, ...] = Field(
        ("en",), description=f"{_for('languages')}: languages of names, best first."
    )
    columns: tuple[str, str, str] | None = Field(
        None,
        description=f"{_for('columns')}: the columns with head, relation and tail; by default the first three.",
    )
    min_sitelinks: int = Field(
        0, ge=0, description=f"{_for('min_sitelinks')}: leave out items with fewer site links."
    )
    min_population: int = Field(
        15000,
        ge=0,
        description=f"{_for('min_population')}: the smallest city taken; its lists begin at 500, capitals and seats of "
        "government at less.",
    )
    relations: RelationsConfig = RelationsConfig()
    """Relations whose triples are read."""
    valid: Share = 0.05
    """Share of the triples held out for validation, if the source has no splits of its own."""
    test: Share = 0.05
    """Share of the triples held out for testing, likewise."""
    strict: bool = False
    """Fail on invalid lines instead of skipping and counting them."""

    def not_written(self) -> Collection[str]:
        """See `Section`: settings that the source does not have."""
        return {name for name in _CHOICES if name not in FORMATS[self.source].options}


_CHOICES = ("languages", "columns", "min_sitelinks", "min_population")


def graph(_inputs: Nothing, config: GraphConfig, context: StageContext) -> None:
    """Write the store and `problems.json`. Raises ValueError if there are no training triples."""
    problems = Problems(strict=config.strict)
    writer = GraphWriter(context.out)
    format, path = FORMATS[config.source], _path(config)
    for name in _CHOICES:
        if name in config.model_fields_set and name not in format.options:
            context.warn(f"graph: `{name}` has no effect for the source {format.name}")
    relations = Relations(config.relations.include, config.relations.exclude)
    choices = Choices(**{name: getattr(config, name) for name in _CHOICES}, relations=relations)
    with context.progress(f"reading {format.name}", size(format, path) or None, "bytes") as tick:
        account = read_source(format, path, writer, problems, tick, choices)
    if not writer.count("valid") and not writer.count("test"):
        rng = np.random.default_rng([context.seed, 0])
        writer.replace_triples(hold_out(writer.triples("train"), rng, config.valid, config.test))
    stored = writer.finish()
    found = json.dumps(problems.to_json(), indent=1, ensure_ascii=False)
    (context.out / "problems.json").write_text(found, encoding="utf-8")
    if problems:
        context.warn(problems.summary())
    for line in account.lines():
        context.note(line)
    for reason, count in sorted((+writer.repeated).items()):
        context.note(f"skipped: {reason}: {count:,}")
    counts = stored.describe()
    context.log(counts)
    context.note(
        f"{counts['entities']:,} entities, {counts['relations']:,} relations, {counts['triples']:,} triples"
    )
    context.dataset(format.name if format.package else str(path), stored.digest, counts)


def conflicts(planned: Planned) -> Iterable[ConfigConflict]:
    """A source without its path, or whose files are not at its path."""
    config: GraphConfig = planned.config
    try:
        FORMATS[config.source].files(_path(config))
    except ValueError as error:
        yield ConfigConflict("source" if config.path is None else "path", str(error))


def fingerprint(config: GraphConfig) -> Mapping[str, str]:
    """Digests of the user's files, or the version of the package that includes the data."""
    format = FORMATS[config.source]
    if format.package:
        return {format.package: version(format.package)}
    return {file.name: digest_source(file) for file in format.files(_path(config))}


def _path(config: GraphConfig) -> Path:
    """Path of the source. Raises ValueError if it is required and missing."""
    format: Format = FORMATS[config.source]
    if config.path is None and not format.package:
        raise ValueError(f"`source: {format.name}` needs `path`: {format.about}")
    return config.path or Path(format.name)


GRAPH = Stage("graph", 5, Nothing, GraphConfig, Graph, graph, fingerprint, conflicts)

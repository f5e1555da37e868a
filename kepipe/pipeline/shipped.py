"""The pipelines that come with kepipe, by name: `kepipe run quickstart`, wherever one is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from kepipe.config import ConfigError, suggest

EXAMPLE = "example"
"""The one with a graph and texts of its own."""


def shipped() -> Mapping[str, Path]:
    """Name → pipeline file, the example first. They lie in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside, checkout = package / "shipped", package.parent
    pipelines, example = (
        (inside / "pipelines", inside / "example")
        if inside.is_dir()
        else (checkout / "pipelines", checkout / "docs" / "example")
    )
    by_name = {file.stem: file for file in sorted(pipelines.glob("*.yaml"))}
    return {EXAMPLE: example / "pipeline.yaml", **by_name}


def find(pipeline: Path) -> Path:
    """The file that a user means: a file of theirs, else the shipped pipeline of that name.

    Raises ConfigError where there is neither, and where the name is also that of a folder with a pipeline in it.
    """
    if pipeline.exists() and not pipeline.is_dir():
        return pipeline
    name, known = str(pipeline), shipped()
    inside = sorted(pipeline.glob("*.yaml"))
    if name in known and inside:
        raise ConfigError(
            f"{name}: a pipeline of kepipe's and a folder here; name the file: `{inside[0]}`, "
            f"or `{known[name]}`"
        )
    if name in known:
        return known[name]
    if pipeline.is_dir():
        hint = f"; did you mean `{inside[0]}`?" if inside else ""
        raise ConfigError(f"{pipeline}: a folder, and no pipeline file{hint}")
    hint = ""
    if pipeline.stem in known:
        hint = f"; `{pipeline.stem}` alone names the one that comes with kepipe"
    elif name == pipeline.stem:
        hint = f", and no pipeline that comes with kepipe{suggest(name, list(known))}"
    raise ConfigError(f"{pipeline}: no such file{hint}")


def summary(file: Path) -> str:
    """What the head of a pipeline file says that it does, on one line."""
    return head(file, "What")


def head(file: Path, word: str) -> str:
    """What the head of a pipeline file says behind a word, such as `Command:`, on one line; empty where it has none."""
    found: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or (found and line[2:3].strip()):
            break
        if found or line.startswith(f"# {word}:"):
            found.append(line.removeprefix("#").strip().removeprefix(f"{word}:").strip())
    return " ".join(found)


def copy(name: str, folder: Path) -> Path:
    """Lay a shipped pipeline into `folder`, with the data that stands beside it; returns the pipeline file.

    Raises ConfigError for an unknown name, and where a file would be overwritten.
    """
    known = shipped()
    if name not in known:
        raise ConfigError(f"kepipe brings no pipeline `{name}`{suggest(name, list(known))}")
    source = known[name]
    files = [file for file in source.parent.rglob("*") if file.is_file()] if name == EXAMPLE else [source]
    targets = {file: folder / file.relative_to(source.parent) for file in files}
    taken = [target for target in targets.values() if target.exists()]
    if taken:
        raise ConfigError(f"{taken[0]} is there already; name another folder")
    for file, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return targets[source]

"""The pipelines included with kepipe, by name: `kepipe run quickstart` works in any folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from kepipe.config import ConfigError, suggest

EXAMPLE = "example"
"""The pipeline that includes its own graph and texts."""


def shipped() -> Mapping[str, Path]:
    """Name → pipeline file, the example first. The files are in the package, or beside it in a checkout."""
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
    """The pipeline file that a user names: a file, otherwise the included pipeline of that name.

    Raises ConfigError if there is neither, or if a folder with a pipeline has the same name.
    """
    if pipeline.exists() and not pipeline.is_dir():
        return pipeline
    name, known = str(pipeline), shipped()
    inside = sorted(pipeline.glob("*.yaml"))
    if name in known and inside:
        raise ConfigError(
            f"{name}: both an included pipeline and a folder; give the file: `{inside[0]}`, "
            f"or `{known[name]}`"
        )
    if name in known:
        return known[name]
    if pipeline.is_dir():
        hint = f"; did you mean `{inside[0]}`?" if inside else ""
        raise ConfigError(f"{pipeline}: is a folder, not a pipeline file{hint}")
    hint = ""
    if pipeline.stem in known:
        hint = f"; use `{pipeline.stem}` for the included pipeline"
    elif name == pipeline.stem:
        hint = f", and no included pipeline of this name{suggest(name, list(known))}"
    raise ConfigError(f"{pipeline}: no such file{hint}")


def summary(file: Path) -> str:
    """The summary in a pipeline file's header comment, on one line."""
    return head(file, "What")


def head(file: Path, word: str) -> str:
    """The text after a keyword such as `Command:` in a pipeline file's header comment, on one line; "" if missing."""
    found: list[str] = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#") or (found and line[2:3].strip()):
            break
        if found or line.startswith(f"# {word}:"):
            found.append(line.removeprefix("#").strip().removeprefix(f"{word}:").strip())
    return " ".join(found)


def copy(name: str, folder: Path) -> Path:
    """Copy an included pipeline, with its data, to `folder`; returns the pipeline file.

    Raises ConfigError for an unknown name, or if a file would be overwritten.
    """
    known = shipped()
    if name not in known:
        raise ConfigError(f"there is no included pipeline `{name}`{suggest(name, list(known))}")
    source = known[name]
    files = [file for file in source.parent.rglob("*") if file.is_file()] if name == EXAMPLE else [source]
    targets = {file: folder / file.relative_to(source.parent) for file in files}
    existing = [target for target in targets.values() if target.exists()]
    if existing:
        raise ConfigError(f"{existing[0]} already exists; choose another folder")
    for file, target in targets.items():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return targets[source]

"""The source of an import: its format, options, progress and problems."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.terminal import echo

if TYPE_CHECKING:
    from kg.sources.reading import Choices, Relations
    from kg.sources.table import Format


def format_of(source: str, name: str | None) -> Format:
    """The format of a source: the named one, or detected. Raises ValueError, FileNotFoundError."""
    from kg.sources.table import FORMATS, guess

    if name is not None and name not in FORMATS:
        raise ValueError(f"--format {name}: expected one of {', '.join(FORMATS)}")
    if name is None and source in FORMATS and FORMATS[source].package:
        name = source
    if not (name and FORMATS[name].package) and not Path(source).exists():
        raise FileNotFoundError(f"{source}: no such file or folder (and not `geonames`)")
    return FORMATS[name] if name else guess(Path(source))


def choices_of(
    format: Format,
    language: list[str] | None,
    columns: str | None,
    min_sitelinks: int = 0,
    min_population: int = 15000,
    relations: Relations | None = None,
) -> Choices:
    """The options as `Choices`; warns about options that the format does not have."""
    from kg.sources.reading import Choices, Relations

    names = tuple(name.strip() for name in columns.split(",")) if columns else None
    if names is not None and len(names) != 3:
        raise ValueError(f"--columns {columns}: expected three column names: head,relation,tail")
    choices = Choices(
        tuple(language or ("en",)), names, min_sitelinks, min_population, relations or Relations()
    )
    for option, field in (
        ("--language", "languages"), ("--columns", "columns"), ("--min-sitelinks", "min_sitelinks"),
        ("--min-population", "min_population"),
    ):  # fmt: skip
        if getattr(choices, field) != getattr(Choices(), field) and field not in format.options:
            echo(f"{option} has no effect for the format {format.name}", err=True)
    return choices

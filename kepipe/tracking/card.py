"""Model card of a registered version (Mitchell et al., 2019, Model Cards for Model Reporting): intended use, training
data, metrics, gate decision and provenance."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

from kepipe.config import Section
from kepipe.tracking.comparison import figures
from kepipe.tracking.decision import BASIS, FOLDER, WHY, conditions_of, outcome
from kepipe.tracking.registry import Version
from kg.regular_files import read_json

PREFIX = "kepipe.card."
"""Prefix of a version's tags that its card shows."""
UNSTATED = "not stated (set it in `card:` of the stage `register`)"


class CardSettings(Section):
    """Entries of a model card that the user states."""

    license: str = ""
    """Licence of the model, as an SPDX identifier if there is one: Apache-2.0."""
    data: str = ""
    """Description of the text and the graph: sources and dates."""
    data_license: str = ""
    """Licences of the text and of the graph."""
    intended_use: str = ""
    """Intended and unintended uses."""
    limits: str = ""
    """Known weaknesses."""
    contact: str = ""
    """Person or team responsible for the model."""

    def tags(self) -> dict[str, str]:
        """The non-empty entries as tags of a version."""
        return {f"{PREFIX}{name}": value for name, value in self.model_dump().items() if value}


def card(version: Version) -> str:
    """The card as Markdown. Texts from tags are escaped, so that they cannot break tables or inject HTML."""
    return "\n".join(_lines(version)) + "\n"


def _lines(version: Version) -> Iterator[str]:
    tags, stated = (
        version.tags,
        {name: version.tags.get(f"{PREFIX}{name}", "") for name in CardSettings.model_fields},
    )
    yield f"# {version.model}, version {version.version}"
    yield ""
    held = f" It is {' and '.join(version.aliases)}." if version.aliases else ""
    yield f"Registered {time.strftime('%Y-%m-%d %H:%M', time.gmtime(version.created))} UTC by kepipe.{held}"
    for title, name in (
        ("Intended use", "intended_use"), ("Limits", "limits"), ("Licence", "license"), ("Contact", "contact"),
    ):  # fmt: skip
        yield from ("", f"## {title}", "", _quote(stated[name]) or UNSTATED)
    yield from ("", "## Data", "", _quote(stated["data"]) or UNSTATED, "")
    yield f"Licences of the data: {_quote(stated['data_license']) or UNSTATED}"
    yield from ("", "## Figures", "", "| figure | value |", "|---|---|")
    yield from (f"| {_quote(name)} | {value:.4g} |" for name, value in sorted(figures(tags).items()))
    yield from ("", "## Gate", "", f"{outcome(tags)}: {_quote(tags.get(WHY, ''))}", "")
    yield f"Compared with champion {tags.get('kepipe.gate.against', 'nobody')}; {_quote(tags.get(BASIS, ''))}."
    if rows := conditions_of(tags):
        yield from ("", "| condition | | found |", "|---|---|---|")
        yield from (f"| {' | '.join(map(_quote, row))} |" for row in rows)
    yield from (
        "",
        "## Training",
        "",
        f"Run {tags.get('kepipe.run', '')}, digest {tags.get('kepipe.digest', '')}.",
    )
    from kepipe.models.folder import PROVENANCE

    file = Path(tags.get(FOLDER, "")) / PROVENANCE
    if file.is_file():
        yield from ("", "```json", json.dumps(read_json(file), indent=1, ensure_ascii=False), "```")


def _quote(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|").replace("\n", " ").strip()

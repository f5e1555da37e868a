"""`--knowledge`: what a graph gives a model, as the section `knowledge:` of a stage says it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kepipe.knowledge.base import KnowledgeSettings

KnowledgeOption = Annotated[
    str | None,
    typer.Option(
        "--knowledge",
        help="What a graph gives the model, in place of what its folder brings by the same method: a method's name, or "
        "YAML as in a stage, `{method: NAME, SETTING: VALUE}`.",
        show_default=False,
    ),
]


def read_knowledge(text: str | None) -> tuple[KnowledgeSettings, ...]:
    """The methods that the option names. Raises ConfigError, a ValueError, for what is no section `knowledge:`."""
    if text is None:
        return ()
    import yaml

    from kepipe.config import ConfigError, Settings, validate
    from kepipe.knowledge.table import KnowledgeSection

    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--knowledge: {text!r} is not a YAML value") from None
    option = Settings({}, Path("--knowledge"))
    return validate(KnowledgeSection, {"knowledge": value}, option).knowledge

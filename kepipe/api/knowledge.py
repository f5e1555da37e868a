"""Knowledge of a model at inference: methods, their sources, and the finder of entities in prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kepipe.finetuning.mention_finders import Finder
    from kepipe.inference.added_knowledge import AddedKnowledge
    from kepipe.inference.opening import OpenedModel
    from kepipe.inference.prompt_facts import PromptFacts
    from kepipe.knowledge.base import KnowledgeSettings

NO_KNOWLEDGE = "none"
"""Value of the option that turns a model's knowledge off."""
KnowledgeValue = str | Mapping[str, Any] | None
"""The section `knowledge:` of a stage: a method's name, YAML, or plain values; None: as in the model's folder."""


def read_added(
    knowledge: KnowledgeValue, graph: Path | None, vectors: Path | None, linker: Path | None
) -> AddedKnowledge | None:
    """The knowledge options for prompts, which add to a model's own knowledge; None if it is turned off.

    Raises ValueError for options that then have no effect.
    """
    from kepipe.inference.added_knowledge import AddedKnowledge

    folders = {"graph": graph, "vectors": vectors}
    if knowledge != NO_KNOWLEDGE:
        return AddedKnowledge(read_knowledge(knowledge), folders)
    for name, given in (*folders.items(), ("linker", linker)):
        if given is not None:
            raise ValueError(f"--{name} has no effect with --knowledge {NO_KNOWLEDGE}")
    return None


def prompt_facts(
    opened: OpenedModel, added: AddedKnowledge | None, linker: Path | None, texts: Iterable[str]
) -> PromptFacts | None:
    """Finds facts for a model's prompts; None for a model without knowledge. `texts` determine the language.

    Raises ValueError for sources that a model without knowledge does not use, and if there is no finder of entities.
    """
    from kepipe.inference.prompt_facts import PromptFacts

    finder = prompt_finder(opened, added, linker, texts)
    if finder is None:
        return None
    assert opened.knowledge is not None
    assert opened.language_model is not None
    return PromptFacts(opened.knowledge, finder.find, opened.language_model.tokenizer)


def prompt_finder(
    opened: OpenedModel, added: AddedKnowledge | None, linker: Path | None, texts: Iterable[str]
) -> Finder | None:
    """Finds the entities mentioned in a model's prompts; see `prompt_facts`."""
    from kepipe.finetuning.mention_finders import finder_for, language_of

    sources = {"linker": linker} if added is None else {**added.folders, "linker": linker}
    if opened.knowledge is None:
        for name, given in sources.items():
            if given is not None:
                raise ValueError(
                    f"{opened.folder}: this model uses no knowledge: remove the {name}, or set a method with "
                    "--knowledge"
                )
        return None
    finder = finder_for(opened.folder, linker, sources.get("graph"), language_of(texts))
    if finder is None:
        raise ValueError(
            f"{opened.folder}: entities in the prompt cannot be found: give a --linker or a --graph, or turn knowledge "
            f"off (--knowledge {NO_KNOWLEDGE})"
        )
    return finder


def read_knowledge(given: KnowledgeValue) -> tuple[KnowledgeSettings, ...]:
    """The settings of the methods. Raises ConfigError (a ValueError) for an invalid section `knowledge:`."""
    if given is None:
        return ()
    from kepipe.config import ConfigError, Settings, parse_value, validate
    from kepipe.knowledge.table import KnowledgeSection

    try:
        value = parse_value(given) if isinstance(given, str) else dict(given)
    except ConfigError as error:
        raise ConfigError(f"--knowledge: {given!r}: {error}") from None
    option = Settings({}, Path("--knowledge"))
    return validate(KnowledgeSection, {"knowledge": value}, option).knowledge

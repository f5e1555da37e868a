"""Open and save the knowledge of a model: from a stage's settings and inputs, or from the model's own folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.knowledge import table
from kepipe.knowledge.base import (
    KNOWLEDGE_FILE,
    CombinedKnowledge,
    EncoderT,
    Knowledge,
    KnowledgeSettings,
    Sources,
)
from kg.regular_files import read_json

if TYPE_CHECKING:
    from kepipe.models.protocols import TrainableEncoder


METHODS, PREDICTING = "methods", "predicting"
"""Lists of KNOWLEDGE_FILE. `methods`: used by every stage and prediction; `predicting`: used only to fill masks."""


def write_settings(folder: Path, settings: KnowledgeSettings) -> None:
    """Add a method to the model folder's list of methods, replacing one of the same name."""
    lists = {
        name: [kept for kept in methods if type(kept) is not type(settings)]
        for name, methods in _read(folder).items()
    }
    _write(folder, {**lists, METHODS: [*lists.get(METHODS, ()), settings]})


def _write(folder: Path, lists: Mapping[str, Sequence[KnowledgeSettings]]) -> None:
    from kepipe.models.files import write_json

    entries = {key: [entry.model_dump(mode="json") for entry in methods] for key, methods in lists.items()}
    write_json(folder / KNOWLEDGE_FILE, entries)


def read_settings(folder: Path, *, predicting: bool = False) -> list[KnowledgeSettings]:
    """The knowledge methods of a folder's model; [] if it has none. `predicting`: also those used only to fill masks.
    Raises ValueError for an invalid file."""
    lists = _read(folder)
    return [*lists.get(METHODS, ()), *(lists.get(PREDICTING, ()) if predicting else ())]


def _read(folder: Path) -> dict[str, list[KnowledgeSettings]]:
    """The lists of a folder's file; {} without one."""
    file = folder / KNOWLEDGE_FILE
    if not file.is_file():
        return {}
    try:
        lists = read_json(file)
        names = (METHODS, *(name for name in (PREDICTING,) if name in lists))
        return {name: [table.read(entry) for entry in lists[name]] for name in names}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not the knowledge of a model ({error})") from None


def prepare(
    model: EncoderT,
    methods: Sequence[KnowledgeSettings],
    sources: Sources,
    seed: int,
    note: Callable[[str], None],
    folder: Path | None = None,
    *,
    to_learn: bool = False,
) -> tuple[EncoderT, Knowledge | None]:
    """The model with the weights of its knowledge methods, and the opened methods: those of `folder`, from which the
    model comes, and `methods`, which replace those of the folder with the same name.

    `to_learn`: for pretraining (see `KnowledgeMethod.open_to_learn`). Raises ValueError if a source is missing or does
    not fit.
    """
    full = _with_folder(sources, folder)
    parts = []
    for settings in _with_own(methods, folder, full):
        method, given = table.method_of(settings), settings in methods
        method.extend_config(full.config, settings)  # raises for an unsupported model
        opened = (method.open_to_learn if to_learn and given else method.open)(settings, full, note)
        if given:
            model = method.extend_model(model, opened, seed, note)
        parts.append(opened)
    return model, together(parts)


def open_own(
    folder: Path,
    sources: Sources,
    note: Callable[[str], None] = lambda _: None,
    methods: Sequence[KnowledgeSettings] = (),
    *,
    predicting: bool = False,
) -> Knowledge | None:
    """Open the knowledge of a model's folder for inference; None if it has none.

    `sources` take precedence over the folder's, and `methods` over the folder's methods of the same name; `predicting`
    as in `read_settings`. Raises ValueError for a method that the model has no weights for, and, if `sources` are for
    prompts, for a method that cannot be used in prompts.
    """
    for conflict in table.unlearned(methods, sources.config, str(folder)):
        raise conflict
    full = _with_folder(sources, folder)
    everything = _with_own(methods, folder, full, predicting=predicting)
    if sources.for_prompts:
        for conflict in table.not_with_prompts(everything, sources.config, str(folder)):
            raise conflict
    return together([table.method_of(settings).open(settings, full, note) for settings in everything])


def save(knowledge: Knowledge | None, folder: Path, model: TrainableEncoder, *, for_all_uses: bool) -> None:
    """Write the methods into a model's folder.

    `for_all_uses`: every stage and prediction uses all of them. Otherwise only those with weights; of the others, which
    a stage that starts from the model or evaluates it has its own settings for, a model that fills masks keeps those
    that save all of their sources, and uses them for that alone.
    """
    parts = knowledge.parts if isinstance(knowledge, CombinedKnowledge) else [knowledge] if knowledge else []
    if not for_all_uses:
        fills_masks = "masked-lm" in model.config.capabilities
        parts = [part for part in parts if part.in_weights or (fills_masks and part.saves_sources)]
    for part in parts:
        part.save(folder, model)
    if not for_all_uses and (saved := read_settings(folder)):
        rows = [(settings, table.method_of(settings)) for settings in saved]
        learned = [settings for settings, row in rows if row.in_weights]
        _write(
            folder, {METHODS: learned, PREDICTING: [settings for settings, row in rows if not row.in_weights]}
        )


def together(parts: Sequence[Knowledge]) -> Knowledge | None:
    """Combine methods; None if there are none."""
    return CombinedKnowledge(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)


def carried(folder: Path) -> dict[str, Path]:
    """The sources in a model's folder: name of a source (see `Sources`) → its folder."""
    return {name: path for method in table.METHODS.values() for name, path in method.carried(folder).items()}


def check_sources(folder: Path, methods: Sequence[KnowledgeSettings], **given: Path | None) -> None:
    """Raise ValueError if a method needs a source that is neither `given`, as a command-line option, nor in the model's
    folder."""
    own = carried(folder)
    for settings in methods:
        for name in table.method_of(settings).inputs(settings):
            if given.get(name) is None and name not in own:
                raise ValueError(
                    f"{folder}: this model brings no {name} for {table.name_of(settings)}: give it (--{name})"
                )


def _with_own(
    methods: Sequence[KnowledgeSettings], folder: Path | None, sources: Sources, *, predicting: bool = False
) -> tuple[KnowledgeSettings, ...]:
    """`methods`, and those of the folder that they do not replace."""
    given = {type(settings) for settings in methods}
    own = [] if folder is None else _own_settings(folder, sources, predicting=predicting)
    return table.in_order([*methods, *(kept for kept in own if type(kept) not in given)])


def _own_settings(folder: Path, sources: Sources, *, predicting: bool) -> list[KnowledgeSettings]:
    """The methods listed in the folder, else those implied by the model."""
    kept = read_settings(folder, predicting=predicting)
    implied = (method.implied(sources) for method in table.METHODS.values())
    return kept or [settings for settings in implied if settings is not None]


def _with_folder(sources: Sources, folder: Path | None) -> Sources:
    """The sources, completed by those of the folder."""
    if folder is None:
        return sources
    own = carried(folder)
    vectors = own.get("vectors")
    return replace(
        sources,
        graph=sources.graph or own.get("graph"),
        vectors=sources.vectors or vectors,
        brought_vectors=vectors,
    )

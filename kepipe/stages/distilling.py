"""The teacher of a stage: which model it is, its settings, and what it requires."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar

from kepipe.config import ConfigConflict
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.table import TASKS
from kepipe.flow.source_digests import digest_source
from kepipe.knowledge.table import KnowledgeMethods, method_of, name_of
from kepipe.models.pretrained import files_of, locate
from kepipe.objectives import table
from kepipe.objectives.requirements import others
from kepipe.training.distillation import Distillation

if TYPE_CHECKING:
    from pathlib import Path

    from kepipe.flow.stage import Planned, StageContext
    from kepipe.objectives.teacher import Teacher
    from kepipe.stages.artifacts import Model
    from kepipe.tokenization.tokenizer import Tokenizer


class PretrainingDistillation(Distillation):
    """Distillation of a language model."""

    shorthand: ClassVar[Mapping[str, str]] = {"knowledge": "method"}

    knowledge: KnowledgeMethods = ()
    """Knowledge that the teacher gets and the student does not, such as `k-bert`, from the graph or vectors of the
    stage, in addition to that in the teacher's folder."""


def folder_of(teacher: Model | None, settings: Distillation | None) -> Path | None:
    """The teacher's folder; None if the stage has no teacher."""
    if teacher is not None:
        return teacher.folder
    return None if settings is None or settings.trained is None else locate(settings.trained)


def fingerprint(settings: Distillation | None) -> dict[str, str]:
    """Digests of the files of a teacher that is not a stage's model."""
    folder = folder_of(None, settings)
    return {} if folder is None else {f"teacher/{n}": digest_source(f) for n, f in files_of(folder).items()}


def source_conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A teacher that is missing or given twice."""
    settings: Distillation | None = stage.config.distillation
    given = stage.input("teacher") is not None
    if settings is not None and given == (settings.trained is not None):
        yield ConfigConflict(
            "distillation",
            "give the teacher, either by `inputs: {teacher: STAGE}` or by `distillation: {from: FOLDER}`",
        )


def fine_tuning_conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A task or a decoding without probabilities of labels, which a teacher gives."""
    yield from source_conflicts(stage)
    config = stage.config
    if stage.input("teacher") is None and config.distillation is None:
        return
    if not isinstance(TASKS[config.task].output, LabelOutput):
        yield ConfigConflict(
            "task", f"a teacher gives the probabilities of labels, and {config.task} has none"
        )
    elif config.decoding == "crf":
        yield ConfigConflict(
            "decoding", "a teacher gives the probabilities of single labels: set `decoding: valid`"
        )
    if config.train == "head" and config.distillation_settings.similarities:
        yield ConfigConflict(
            "distillation.similarities",
            "`train: head` leaves the hidden states as they are: leave it out, or set `train: lora` or `train: all`",
        )


def pretraining_conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Settings of a pretraining that do not go with its teacher."""
    yield from source_conflicts(stage)
    if stage.input("teacher") is None and stage.config.distillation is None:
        return
    objective = stage.config.objective
    if not table.row_of(objective).masks_units or table.parts_of(objective) != [objective]:
        able = [name for name, row in table.TABLE.items() if row.masks_units]
        yield ConfigConflict(
            "objective",
            f"a teacher gives the probabilities of masked tokens: set `objective: {able[0]}`{others(able)}, or leave "
            "the teacher out",
        )
    for settings in stage.config.knowledge:
        if method_of(settings).moves_tokens:
            yield ConfigConflict(
                "knowledge",
                f"{name_of(settings)} moves the student's tokens, at whose places the teacher is asked: leave it out",
            )


def open_teacher(
    folder: Path,
    settings: PretrainingDistillation,
    tokenizer: Tokenizer,
    sources: Mapping[str, Path | None],
    context: StageContext,
) -> Teacher:
    """The teacher with its knowledge. `sources`: see `kepipe.stages.starting.folders`.

    Raises ValueError for a teacher with another vocabulary than the shards', without a vocabulary head, or of another
    architecture than the transformer.
    """
    from kepipe.inference.opening import load_encoder
    from kepipe.knowledge.base import Sources
    from kepipe.knowledge.opening import open_own
    from kepipe.models.mask_filler import fills_masks
    from kepipe.models.transformer import Transformer
    from kepipe.objectives.teacher import Teacher, frozen
    from kepipe.tokenization.tokenizer import load_tokenizer

    if load_tokenizer(folder).backend.get_vocab() != tokenizer.backend.get_vocab():
        raise ValueError(
            f"distillation: {folder}: the teacher has another vocabulary than the shards: give the shards its "
            f"tokenizer, `tokenizer: {{from: {folder}}}`"
        )
    notes: list[str] = []
    model = load_encoder(folder, note=notes.append)
    if not isinstance(model, Transformer) or not fills_masks(model):
        raise ValueError(f"distillation: {folder}: the teacher does not predict masked tokens")
    if any(re.search(r"\bhead\.", note) for note in notes):
        raise ValueError(f"distillation: {'; '.join(notes)}: a teacher needs a trained vocabulary head")
    knowledge = open_own(
        folder, Sources(tokenizer, model.config, **sources), context.note, settings.knowledge
    )
    teacher = frozen(model.to(context.device))
    return Teacher(teacher, None if knowledge is None else knowledge.apply)

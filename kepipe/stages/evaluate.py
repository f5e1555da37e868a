"""Stage `evaluate`: evaluates models on held-out documents with the same probes, with intervals and baselines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from kepipe.config import ConfigConflict, suggest
from kepipe.flow.artifact import Artifact
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.inference.added_knowledge import AddedKnowledge, refusals
from kepipe.knowledge import table as knowledge
from kepipe.knowledge.base import KnowledgeContext
from kepipe.knowledge.table import KnowledgeMethods, inputs_of
from kepipe.probes.evaluation import (
    Given,
    answer_all,
    fitting,
    make_probes,
    score,
    write_answers,
    write_files,
)
from kepipe.probes.settings import ProbeSettings
from kepipe.probes.table import PROBES, ProbeName, list_probes, probes_on_request, score_name
from kepipe.stages import preview
from kepipe.stages.artifacts import Evaluation, Graph, Linked, Model, Shards, Vectors
from kepipe.stages.starting import folders
from kepipe.studies.scores import FILE, single_values, write_scores

if TYPE_CHECKING:
    from kepipe.probes.base import Probe
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.tokenization.tokenizer import Tokenizer


NO_PROBE = "no probe supports this kind of model; evaluate it on a task with `finetune`"


class EvaluateConfig(ProbeSettings):
    """The probes and their settings."""

    shorthand: ClassVar[Mapping[str, str]] = {"knowledge": "method"}

    probes: tuple[ProbeName, ...] | None = Field(
        None,
        description=f"{list_probes()}. None: those that each arm supports, except {probes_on_request()}.",
    )
    knowledge: KnowledgeMethods = ()
    """Knowledge that all arms get with the text: a method's name, `method:` with settings, or a list of these. It
    replaces the knowledge in a model's folder for the same method. Empty: only what is in each folder. A language model
    gets the facts about a prompt's entities before the prompt."""
    reference: str | None = None
    """The arm that the others are compared with. None: `control` if there is one, otherwise the last arm."""


@dataclass(frozen=True)
class EvaluateInputs:
    """`arms`: the models to evaluate. `linked`, `shards`: the held-out text. `candidates`: the graph whose entities are
    asked for. `graph`, `vectors`: sources of knowledge, if not the model's own; the vectors are also a baseline of the
    graph quiz."""

    arms: tuple[Model, ...]
    linked: Linked
    candidates: Graph
    shards: Shards
    graph: Graph | None = None
    vectors: Vectors | None = None


def evaluate(inputs: EvaluateInputs, config: EvaluateConfig, context: StageContext) -> None:
    """Write `scores.json`, the probes' files and, in `answers`, the models' answers case by case. Probes without any
    questions are skipped with a warning.

    Raises ValueError if no probe is left, and for arms with another tokenizer than the shards'.
    """
    from kepipe.inference.opening import read_config

    names = [arm.name for arm in inputs.arms]
    for conflict in _unknown_reference(config, names):
        raise conflict
    chosen = {arm.name: fitting(config.probes, read_config(arm.folder), arm.name) for arm in inputs.arms}
    if config.probes is None:
        _note_chosen(chosen, context)
    held_out = held_out_documents(inputs.linked, inputs.candidates, inputs.shards, config, context.seed)
    context.dataset("shards/held_out", inputs.shards.digest, {})
    for model in inputs.arms:
        _require_same_tokens(model, inputs.shards, held_out.tokenizer)
    if inputs.vectors is not None:
        held_out = replace(held_out, vectors=inputs.vectors.folder)
    probes, skipped = make_probes(held_out, {name for of_arm in chosen.values() for name in of_arm})
    _warn_about_probes(probes, skipped, context)
    added = AddedKnowledge(config.knowledge, folders(inputs.graph, inputs.vectors, None))
    answered, given = answer_all(inputs.arms, probes, chosen, added, context)
    reference = config.reference or ("control" if "control" in names else names[-1])
    scores = score(probes, answered, given, reference, context.seed, skipped)
    write_scores(context.out / FILE, scores)
    write_files(context.out, probes, answered)
    write_answers(context.out, inputs.arms, answered)
    for arm, measured in scores.arms.items():
        context.log({f"{arm}/{name}": value for name, value in single_values(measured).items()})
    _report_mentions(given, context)
    for row, probe in ((PROBES[name], score_name(name)) for name in probes):
        for line in row.headlines(probe, row.presentation, scores):
            context.note(line)


def held_out_documents(
    linked: Linked, graph: Graph, shards: Shards, settings: ProbeSettings, seed: int
) -> HeldOutDocuments:
    """The input of the probes, tokenised like the shards."""
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(shards.folder / "tokenizer")
    return HeldOutDocuments(linked.folder, graph.folder, shards.folder, settings, tokenizer, seed)


def _require_same_tokens(arm: Model, shards: Shards, tokenizer: Tokenizer) -> None:
    """Raise ValueError if a model's tokenizer differs from the probes', which use the same tokens for all arms."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    if load_tokenizer(arm.folder).backend.to_str() != tokenizer.backend.to_str():
        raise ValueError(preview.other_tokens(arm.name, shards.name))


def _note_chosen(chosen: Mapping[str, Sequence[ProbeName]], context: StageContext) -> None:
    for probes in dict.fromkeys(chosen.values()):
        names = " and ".join(name for name, of_arm in chosen.items() if of_arm == probes)
        if probes:
            context.note(f"{names}: {', '.join(probes)}")
        else:
            context.warn(f"{names}: {NO_PROBE}")


def _warn_about_probes(
    probes: Mapping[ProbeName, Probe], skipped: Mapping[ProbeName, str], context: StageContext
) -> None:
    """Warn about skipped probes, and about limitations of the others."""
    for name, reason in skipped.items():
        context.warn(f"{name} is skipped: {reason}")
    for name, probe in probes.items():
        if caution := PROBES[name].presentation.caution(probe.details()):
            context.warn(f"{name}: {caution}")


def _report_mentions(given: Given, context: StageContext) -> None:
    for name, by_arm in given.items():
        for arm, counts in by_arm.items():
            context.log({f"{arm}/{score_name(name)}/mentions_{key}": count for key, count in counts.items()})
            known, mentions = counts["known"], f"{counts['given']:,} mentions in the texts"
            message = f"{arm}, {name}: it has knowledge of {known:,} of the {mentions}, over all questions"
            if known:
                context.note(message)
            else:
                context.warn(
                    f"{message}: it only sees the text. Was its knowledge made from the graph that the text is "
                    "linked to?"
                )


def _unknown_reference(config: EvaluateConfig, names: Sequence[str]) -> Iterator[ConfigConflict]:
    if config.reference not in (None, *names):
        yield ConfigConflict(
            "reference", f"`{config.reference}` is not an arm{suggest(config.reference or '', names)}"
        )


def supports_no_probe(arm: Planned) -> bool:
    """Whether it is known before the run that no probe supports the model of a stage."""
    model = preview.model_of(arm)
    return model is not None and not fitting(None, model, arm.name)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Arms that cannot be evaluated with these settings."""
    arms = stage.inputs["arms"]
    yield from _unknown_reference(stage.config, [arm.name for arm in arms])
    if stage.config.probes is None and arms and all(map(supports_no_probe, arms)):
        yield ConfigConflict("inputs.arms", f"{' and '.join(arm.name for arm in arms)}: {NO_PROBE}")
    for arm in arms:
        yield from preview.of_other_tokens(arm, stage.inputs["shards"][0])
        model = preview.model_of(arm)
        if model is None:
            continue
        try:
            fitting(stage.config.probes, model, arm.name)
        except ConfigConflict as conflict:
            yield conflict
        yield from refusals(stage.config.knowledge, model, arm.name)
    for settings in stage.config.knowledge:
        yield from knowledge.conflicts(
            settings, stage.config.knowledge, KnowledgeContext(None, stage.config.context)
        )


def _needs(config: EvaluateConfig, _given: Mapping[str, type[Artifact]]) -> tuple[str, ...]:
    return inputs_of(config.knowledge)


def _fingerprint(config: EvaluateConfig) -> Mapping[str, str]:
    """Digests of the quiz templates: a file or a folder of files."""
    given = config.graph_quiz.templates
    files = [] if given is None else sorted(given.iterdir()) if given.is_dir() else [given]
    return {file.name: digest_source(file) for file in files if file.is_file()}


def _figures(stage: Planned) -> Collection[str]:
    """Metrics of each probe, for all arms together and for each arm."""
    models = [preview.model_of(arm) for arm in stage.inputs["arms"]]
    names = stage.config.probes
    if names is None:
        by_default = [name for name, row in PROBES.items() if row.by_default]
        fit = [by_default if model is None else fitting(None, model, "") for model in models]
        names = [name for name in PROBES if any(name in of_arm for of_arm in fit)]
    of_probes = [f"{score_name(name)}/{metric}" for name in names for metric in PROBES[name].figures]
    return [*of_probes, *(f"*/{name}" for name in of_probes)]


EVALUATE = Stage(
    "evaluate",
    12,
    EvaluateInputs,
    EvaluateConfig,
    Evaluation,
    evaluate,
    _fingerprint,
    conflicts,
    _needs,
    figures=_figures,
)

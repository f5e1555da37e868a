"""Stage `evaluate`: models on held-out documents, each probe the same for all of them, with intervals and baselines."""

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
from kepipe.probes.evaluation import Given, answer_all, fitting, make_probes, score, write_files
from kepipe.probes.settings import ProbeSettings
from kepipe.probes.table import PROBES, ProbeName, described, on_request, score_name
from kepipe.stages import preview
from kepipe.stages.artifacts import Evaluation, Graph, Linked, Model, Shards, Vectors
from kepipe.stages.starting import folders
from kepipe.studies.scores import FILE, single_values, write_scores

if TYPE_CHECKING:
    from kepipe.probes.base import Probe
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.tokenization.tokenizer import Tokenizer


NO_PROBE = "no probe can be put to a model of its kind; `finetune` measures it by a task"


class EvaluateConfig(ProbeSettings):
    """What is measured on the held-out documents."""

    shorthand: ClassVar[Mapping[str, str]] = {"knowledge": "method"}

    probes: tuple[ProbeName, ...] | None = Field(
        None, description=f"{described()}. None: those that fit each arm, but for {on_request()}."
    )
    knowledge: KnowledgeMethods = ()
    """What goes with the text, of all arms alike: a method's name, `method:` with settings, or a list of such. It takes
    the place of what a model's folder brings by the same method. None: what each brings. A language model reads the
    facts of what a prompt names before the prompt."""
    reference: str | None = None
    """The arm that the others are compared with; none: `control` where there is one, else the last."""


@dataclass(frozen=True)
class EvaluateInputs:
    """The models to measure; what they are measured on, with the graph whose entities are asked for; the graph and the
    vectors that knowledge is from, where not the model's own. The vectors answer the graph quiz as a baseline."""

    arms: tuple[Model, ...]
    linked: Linked
    candidates: Graph
    shards: Shards
    graph: Graph | None = None
    vectors: Vectors | None = None


def evaluate(inputs: EvaluateInputs, config: EvaluateConfig, context: StageContext) -> None:
    """Write `scores.json` and the probes' files. A probe that finds nothing to ask is left out, which is told.

    Raises ValueError where no probe does, and for arms of another tokenizer than the shards'.
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
    _warn_of_made(probes, skipped, context)
    added = AddedKnowledge(config.knowledge, folders(inputs.graph, inputs.vectors, None))
    answered, given = answer_all(inputs.arms, probes, chosen, added, context)
    reference = config.reference or ("control" if "control" in names else names[-1])
    scores = score(probes, answered, given, reference, context.seed, skipped)
    write_scores(context.out / FILE, scores)
    write_files(context.out, probes, answered)
    for arm, measured in scores.arms.items():
        context.log({f"{arm}/{name}": value for name, value in single_values(measured).items()})
    _tell_given(given, context)
    for row, probe in ((PROBES[name], score_name(name)) for name in probes):
        for line in row.headlines(probe, row.presentation, scores):
            context.note(line)


def held_out_documents(
    linked: Linked, graph: Graph, shards: Shards, settings: ProbeSettings, seed: int
) -> HeldOutDocuments:
    """What probes are made of, in the tokens of the shards."""
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(shards.folder / "tokenizer")
    return HeldOutDocuments(linked.folder, graph.folder, shards.folder, settings, tokenizer, seed)


def _require_same_tokens(arm: Model, shards: Shards, tokenizer: Tokenizer) -> None:
    """Raises ValueError where a model has another tokenizer than the probes: they ask all arms in the same tokens."""
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


def _warn_of_made(
    probes: Mapping[ProbeName, Probe], skipped: Mapping[ProbeName, str], context: StageContext
) -> None:
    """Tell which probes are left out, and what one has to know of those that are made."""
    for name, reason in skipped.items():
        context.warn(f"{name} is left out: {reason}")
    for name, probe in probes.items():
        if caution := PROBES[name].presentation.caution(probe.details()):
            context.warn(f"{name}: {caution}")


def _tell_given(given: Given, context: StageContext) -> None:
    for name, by_arm in given.items():
        for arm, counts in by_arm.items():
            context.log({f"{arm}/{score_name(name)}/mentions_{key}": count for key, count in counts.items()})
            known, mentions = counts["known"], f"{counts['given']:,} mentions given with the text"
            message = f"{arm}, {name}: it knows {known:,} of the {mentions}, all tests together"
            if known:
                context.note(message)
            else:
                context.warn(
                    f"{message}: it reads the text alone. Is its knowledge of the graph of these links?"
                )


def _unknown_reference(config: EvaluateConfig, names: Sequence[str]) -> Iterator[ConfigConflict]:
    if config.reference not in (None, *names):
        yield ConfigConflict(
            "reference", f"`{config.reference}` is no arm{suggest(config.reference or '', names)}"
        )


def answers_nothing(arm: Planned) -> bool:
    """Whether it is known before the run that no probe asks what the model of a stage can do."""
    model = preview.model_of(arm)
    return model is not None and not fitting(None, model, arm.name)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Arms that cannot be measured so."""
    arms = stage.inputs["arms"]
    yield from _unknown_reference(stage.config, [arm.name for arm in arms])
    if stage.config.probes is None and arms and all(map(answers_nothing, arms)):
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
    """The digest of the templates given: a file, or a folder of such."""
    given = config.graph_quiz.templates
    files = [] if given is None else sorted(given.iterdir()) if given.is_dir() else [given]
    return {file.name: digest_source(file) for file in files if file.is_file()}


def _figures(stage: Planned) -> Collection[str]:
    """Of each probe that is asked, for all arms together and for each."""
    models = [preview.model_of(arm) for arm in stage.inputs["arms"]]
    asked = stage.config.probes
    if asked is None:
        by_default = [name for name, row in PROBES.items() if row.by_default]
        fit = [by_default if model is None else fitting(None, model, "") for model in models]
        asked = [name for name in PROBES if any(name in names for names in fit)]
    of_probes = [f"{score_name(name)}/{metric}" for name in asked for metric in PROBES[name].figures]
    return [*of_probes, *(f"*/{name}" for name in of_probes)]


EVALUATE = Stage(
    "evaluate",
    10,
    EvaluateInputs,
    EvaluateConfig,
    Evaluation,
    evaluate,
    _fingerprint,
    conflicts,
    _needs,
    figures=_figures,
)

"""Evaluation of models with probes: selects suitable probes, computes each model's answers, and scores them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from kepipe.config import ConfigConflict
from kepipe.files import replacing
from kepipe.probes.base import NothingToAsk
from kepipe.probes.table import PROBES, ProbeName, score_name
from kepipe.studies.scores import Difference, Scores

if TYPE_CHECKING:
    from kepipe.flow.artifact import Artifact
    from kepipe.flow.stage import StageContext
    from kepipe.inference.added_knowledge import AddedKnowledge
    from kepipe.inference.opening import OpenedModel
    from kepipe.models.protocols import ModelConfig
    from kepipe.probes.base import Answers, Probe
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.studies.scores import Metrics

Answered = Mapping[str, Mapping[ProbeName, "Answers"]]
"""Arm → probe → its answers."""
Given = Mapping[ProbeName, Mapping[str, Mapping[str, int]]]
"""Probe → arm with knowledge → number of mentions given with the text, and number of those that its knowledge
covers."""


def fitting(asked: Sequence[ProbeName] | None, model: ModelConfig, arm: str) -> tuple[ProbeName, ...]:
    """The probes for an arm: the requested ones, or by default all suitable ones that need no explicit request. Raises
    ConfigConflict for an unsuitable one."""
    able = tuple(name for name, row in PROBES.items() if model.capabilities & {*row.capabilities})
    for name in asked or ():
        if name not in able:
            raise ConfigConflict(
                "probes",
                f"`{arm}` cannot answer {name}, which requires a {PROBES[name].asks}, only "
                f"{' and '.join(able) or 'none'}: omit `probes` to use the suitable ones for each arm",
            )
    return tuple(name for name in able if PROBES[name].by_default) if asked is None else tuple(asked)


def make_probes(
    held_out: HeldOutDocuments, names: Collection[ProbeName]
) -> tuple[dict[ProbeName, Probe], dict[ProbeName, str]]:
    """Build the probes of these names, in the table's order. Returns them, and the reasons for those without cases.

    Raises ValueError if nothing is held out, and if no probe has cases.
    """
    made: dict[ProbeName, Probe] = {}
    skipped: dict[ProbeName, str] = {}
    for name, row in PROBES.items():
        if name in names:
            try:
                made[name] = row.make(held_out)
            except NothingToAsk as reason:
                skipped[name] = str(reason)
    if names and not made:
        raise ValueError("; ".join(f"{name}: {reason}" for name, reason in skipped.items()))
    return made, skipped


class _Arm:
    """A model that answers probes. It is opened when first needed."""

    def __init__(self, artifact: Artifact, added: AddedKnowledge, context: StageContext) -> None:
        self._artifact, self._added, self._context = artifact, added, context

    @cached_property
    def _model(self) -> OpenedModel:
        from kepipe.inference.opening import open_model

        return open_model(self._artifact.folder, self._context.device, added=self._added)

    def answer(self, name: ProbeName, probe: Probe) -> Answers:
        """Its answers: computed, or read from the scratch folder of an interrupted attempt."""
        artifact, context = self._artifact, self._context
        file = _answers_file(context.scratch, artifact.digest, name)
        if (answers := _read_answers(file)) is None:
            with context.progress(f"{name} of {artifact.name}", probe.steps, "rows") as tick:
                answers = probe.answer(self._model, tick)
            _write_answers(file, answers)
        return answers

    def count_given(self, probe: Probe) -> dict[str, int] | None:
        """See `count_given`."""
        return count_given(self._model, probe)


def count_given(model: OpenedModel, probe: Probe) -> dict[str, int] | None:
    """The number of mentions given to a model with knowledge along with the text, and the number of those that its
    knowledge covers.

    None for a model without knowledge, and for a probe that gives none.
    """
    if (knowledge := model.knowledge) is None:
        return None
    entities = probe.entities_given(model)
    if not len(entities):
        return None
    known = {entity: knowledge.knows(entity) for entity in set(entities)}
    return {"given": len(entities), "known": sum(known[entity] for entity in entities)}


def answer_all(
    arms: Sequence[Artifact],
    probes: Mapping[ProbeName, Probe],
    chosen: Mapping[str, Collection[ProbeName]],
    added: AddedKnowledge,
    context: StageContext,
) -> tuple[Answered, Given]:
    """Answer the `chosen` probes with each arm, with `added` knowledge.

    Only one model is open at a time.
    """
    answered: dict[str, dict[ProbeName, Answers]] = {}
    given: dict[ProbeName, dict[str, Mapping[str, int]]] = {name: {} for name in probes}
    for artifact in arms:
        arm = _Arm(artifact, added, context)
        asked = {name: probe for name, probe in probes.items() if name in chosen[artifact.name]}
        answered[artifact.name] = {name: arm.answer(name, probe) for name, probe in asked.items()}
        for name, probe in asked.items():
            if counts := arm.count_given(probe):
                given[name][artifact.name] = counts
    return answered, given


def score(
    probes: Mapping[ProbeName, Probe],
    answered: Answered,
    given: Given,
    reference: str,
    seed: int,
    skipped: Mapping[ProbeName, str] | None = None,
) -> Scores:
    """The scores of all arms. `reference`: the arm with which the others are compared; `skipped`: reasons why requested
    probes have no scores."""
    details: dict[str, dict[str, Any]] = {}
    for name, probe in probes.items():
        details[score_name(name)] = probe.details() | (
            {"mentions_given": dict(given[name])} if given.get(name) else {}
        )
    return Scores(
        {
            arm: {score_name(name): probes[name].score(answers, seed) for name, answers in by_probe.items()}
            for arm, by_probe in answered.items()
        },
        _differences(probes, answered, reference, seed),
        {score_name(name): probe.baselines(seed) for name, probe in probes.items()},
        details,
        {score_name(name): reason for name, reason in (skipped or {}).items()},
        _baseline_differences(probes, answered, seed),
    )


def _differences(
    probes: Mapping[ProbeName, Probe], answered: Answered, reference: str, seed: int
) -> tuple[Difference, ...]:
    """The paired differences of each arm from the reference, in the probes that both answered."""
    theirs, differences = answered[reference], []
    for arm, ours in answered.items():
        both = [name for name in probes if name in ours and name in theirs]
        if arm != reference and both:
            scores = {
                score_name(name): probes[name].difference(ours[name], theirs[name], seed) for name in both
            }
            differences.append(Difference(arm, reference, scores))
    return tuple(differences)


def _baseline_differences(
    probes: Mapping[ProbeName, Probe], answered: Answered, seed: int
) -> tuple[Difference, ...]:
    """The paired differences of each arm from each baseline whose probe has its answers."""
    differences = []
    for name, probe in probes.items():
        if (baseline_answers := PROBES[name].baseline_answers) is None:
            continue
        for baseline, theirs in baseline_answers(probe).items():
            for arm, by_probe in answered.items():
                if name in by_probe:
                    scores = {score_name(name): probe.difference(by_probe[name], theirs, seed)}
                    differences.append(Difference(arm, baseline, scores))
    return tuple(differences)


def write_files(folder: Path, probes: Mapping[ProbeName, Probe], answered: Answered) -> None:
    """Write the probes' files, next to the scores."""
    for name, probe in probes.items():
        answers = {arm: by_probe[name] for arm, by_probe in answered.items() if name in by_probe}
        for file, lines in PROBES[name].files.items():
            with (folder / file).open("w", encoding="utf-8", newline="\n") as stream:
                for line in lines(probe, answers):
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_answers(folder: Path, arms: Iterable[Artifact], answered: Answered) -> None:
    """Write the answers of each arm: `answers/DIGEST-PROBE.npz`, with the first 16 digits of the arm's digest."""
    for arm in arms:
        for name, answers in answered[arm.name].items():
            _write_answers(_answers_file(folder, arm.digest, name), answers)


def _answers_file(folder: Path, model_digest: str, probe: ProbeName) -> Path:
    return folder / "answers" / f"{model_digest[:16]}-{score_name(probe)}.npz"


def _write_answers(file: Path, answers: Answers) -> None:
    file.parent.mkdir(exist_ok=True)
    with replacing(file, durable=False) as unfinished, unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **answers)


def _read_answers(file: Path) -> Answers | None:
    """The answers; None if the file is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {array: stored[array] for array in stored.files}
    except (OSError, EOFError, ValueError, BadZipFile):
        return None


def ask_model(
    folder: Path,
    held_out: HeldOutDocuments,
    asked: Sequence[ProbeName] | None,
    added: AddedKnowledge,
    device: str,
    evaluation: Path | None = None,
) -> dict[ProbeName, tuple[Probe, Answers]]:
    """Build the probes for a model folder from the held-out documents, and compute the model's answers.

    `evaluation`: folder of an evaluation with the same questions. If this model was one of its arms, its answers are
    read instead.

    The documents are tokenised with the model's own tokenizer, so that a model with another vocabulary is evaluated
    fairly. Probes whose scores depend on the tokens are then skipped, because they are not comparable.
    """
    from kepipe.flow.artifact import CorruptArtifact, read_manifest
    from kepipe.inference.opening import open_model, read_config
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    same = tokenizer.backend.to_str() == held_out.tokenizer.backend.to_str()
    names = [
        name
        for name in fitting(asked, read_config(folder), folder.name)
        if same or not PROBES[name].same_tokens_only
    ]
    probes, _ = make_probes(replace(held_out, tokenizer=tokenizer), names)
    recorded: dict[ProbeName, Answers | None] = {}
    if evaluation is not None:
        with suppress(CorruptArtifact):  # a folder without a manifest is no arm of an evaluation
            digest = read_manifest(folder)["digest"]
            recorded = {name: _read_answers(_answers_file(evaluation, digest, name)) for name in probes}
    model: OpenedModel | None = None
    answered: dict[ProbeName, tuple[Probe, Answers]] = {}
    for name, probe in probes.items():
        if (answers := recorded.get(name)) is None:
            model = model or open_model(folder, device, added=added)
            answers = probe.answer(model, lambda _: None)
        answered[name] = (probe, answers)
    return answered


def score_model(
    folder: Path,
    held_out: HeldOutDocuments,
    asked: Sequence[ProbeName] | None,
    added: AddedKnowledge,
    device: str = "cpu",
) -> dict[str, Metrics]:
    """The scores of one model folder on the held-out documents, as one arm of `Scores`; see `ask_model`."""
    answered = ask_model(folder, held_out, asked, added, device)
    return {
        score_name(name): probe.score(answers, held_out.seed) for name, (probe, answers) in answered.items()
    }


def pair(
    first: Mapping[ProbeName, tuple[Probe, Answers]],
    second: Mapping[ProbeName, tuple[Probe, Answers]],
    seed: int,
    same_tokens: bool,
) -> dict[str, Metrics]:
    """Probe → metric → first − second, over the cases that both answered.

    Models with different tokens have different cases. If the row of a probe can match them, the common cases are
    compared; other probes are skipped.
    """
    differences: dict[str, Metrics] = {}
    for name in first.keys() & second.keys():
        (probe, ours), (other, theirs) = first[name], second[name]
        if not same_tokens:
            if (match := PROBES[name].match) is None or (
                matched := match(probe, other, ours, theirs)
            ) is None:
                continue
            probe, ours, theirs = matched
        differences[score_name(name)] = probe.difference(ours, theirs, seed)
    return differences

"""Models put to probes: which fit which, what each answers, and the scores of all of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.config import ConfigConflict
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
"""Probe → arm with knowledge → how many mentions it is given with the text, and of how many it knows something."""


def fitting(asked: Sequence[ProbeName] | None, model: ModelConfig, arm: str) -> tuple[ProbeName, ...]:
    """The probes for an arm: those asked for, else all that fit and need not be asked for. Raises ConfigConflict for
    one that does not fit."""
    able = tuple(name for name, row in PROBES.items() if model.capabilities & {*row.capabilities})
    for name in asked or ():
        if name not in able:
            raise ConfigConflict(
                "probes",
                f"`{arm}` cannot answer {name}, which asks a {PROBES[name].asks}, only "
                f"{' and '.join(able) or 'none'}: leave `probes` out to have those chosen that fit each arm",
            )
    return tuple(name for name in able if PROBES[name].by_default) if asked is None else tuple(asked)


def make_probes(
    held_out: HeldOutDocuments, names: Collection[ProbeName]
) -> tuple[dict[ProbeName, Probe], dict[ProbeName, str]]:
    """The probes of these names, in the table's order, and why there are none of the others.

    Raises ValueError where nothing is held out, and where there is nothing to ask by any of them.
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
    """A model that answers probes; it is opened when it is first asked."""

    def __init__(self, artifact: Artifact, added: AddedKnowledge, context: StageContext) -> None:
        self._artifact, self._added, self._context = artifact, added, context

    @cached_property
    def _model(self) -> OpenedModel:
        from kepipe.inference.opening import open_model

        return open_model(self._artifact.folder, self._context.device, added=self._added)

    def answer(self, name: ProbeName, probe: Probe) -> Answers:
        """Its answers: computed, or found in the scratch folder where an interrupted attempt left them."""
        artifact, context = self._artifact, self._context
        kept = context.scratch / f"{artifact.digest[:16]}-{score_name(name)}.npz"
        if not kept.exists():
            with context.progress(f"{name} of {artifact.name}", probe.steps, "rows") as tick:
                answers = probe.answer(self._model, tick)
            unfinished = kept.with_suffix(".unfinished.npz")
            np.savez(unfinished, allow_pickle=False, **answers)
            unfinished.rename(kept)
        with np.load(kept, allow_pickle=False) as stored:
            return {array: stored[array] for array in stored.files}

    def count_given(self, probe: Probe) -> dict[str, int] | None:
        """See `count_given`."""
        return count_given(self._model, probe)


def count_given(model: OpenedModel, probe: Probe) -> dict[str, int] | None:
    """How many mentions a model with knowledge is given with the text, and of how many it knows something.

    None for a plain model, and where the probe gives none.
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
    """Put to each arm those probes that are `chosen` for it, with what is `added` to its knowledge.

    One model is open at a time.
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
    """The scores of all arms; `reference`: the one that the others are compared with; `skipped`: why what was wanted
    could not be asked."""
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
    )


def _differences(
    probes: Mapping[ProbeName, Probe], answered: Answered, reference: str, seed: int
) -> tuple[Difference, ...]:
    """Each arm against the reference, in the probes that both answered."""
    theirs, differences = answered[reference], []
    for arm, ours in answered.items():
        both = [name for name in probes if name in ours and name in theirs]
        if arm != reference and both:
            scores = {
                score_name(name): probes[name].difference(ours[name], theirs[name], seed) for name in both
            }
            differences.append(Difference(arm, reference, scores))
    return tuple(differences)


def write_files(folder: Path, probes: Mapping[ProbeName, Probe], answered: Answered) -> None:
    """What the probes leave beside the scores."""
    for name, probe in probes.items():
        answers = {arm: by_probe[name] for arm, by_probe in answered.items() if name in by_probe}
        for file, lines in PROBES[name].files.items():
            with (folder / file).open("w", encoding="utf-8", newline="\n") as stream:
                for line in lines(probe, answers):
                    stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def ask_model(
    folder: Path,
    held_out: HeldOutDocuments,
    asked: Sequence[ProbeName] | None,
    added: AddedKnowledge,
    device: str = "cpu",
) -> dict[ProbeName, tuple[Probe, Answers]]:
    """The probes of a model folder on the held-out documents, with its answers.

    It is asked in its own tokens, so that a model of another vocabulary is judged fairly; probes whose scores depend on
    the tokens are then left out, because they do not compare.
    """
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
    model = open_model(folder, device, added=added)
    return {name: (probe, probe.answer(model, lambda _: None)) for name, probe in probes.items()}


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

    Models of other tokens answer other cases: of a probe whose row matches them, those that are the same are compared;
    other probes are left out.
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

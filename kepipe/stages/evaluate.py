"""Stage `evaluate`: models on held-out documents, each probe the same for all of them, with intervals and baselines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from kepipe.config import ConfigConflict, Section, suggest
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.models.config import read_config
from kepipe.stages import preview
from kepipe.stages.artifacts import Evaluation, Graph, Linked, Model, Shards
from kepipe.stages.probing import PROBES, HeldOut, ProbeName, fits, make_probes

if TYPE_CHECKING:
    from kepipe.models.config import TransformerConfig
    from kepipe.probes.base import Answers, Arm, Probe

BESIDE_ARMS = ("differences", "baselines", "about")
"""Keys of `scores.json` that are no arm."""


class EvaluateConfig(Section):
    """What is measured on the held-out documents."""

    probes: tuple[ProbeName, ...] | None = None
    """`mlm-loss`: loss at blanked tokens, phrases and mentions; `entity-cloze`: rank of a blanked mention's entity;
    `perplexity`: how well held-out text is gone on with. None: those that fit each arm."""
    reference: str | None = None
    """The arm that the others are compared with; none: `control` where there is one, else the last."""
    context: int = Field(128, ge=16)
    """Tokens of a row, special tokens included."""
    loss_tokens: int = Field(40_000, ge=1)
    """Held-out tokens on which the loss is measured, at most."""
    mentions: Literal["auto", "gold", "linked"] = "auto"
    """Mentions that are blanked: given with the data, or the linker's; `auto`: given, where there are enough."""
    max_mentions: int = Field(400, ge=1)
    """Mentions that are blanked, one at a time, at most."""
    max_candidates: int = Field(100, ge=2)
    """Candidates of a type, at most; every entity asked for is one in any case."""
    max_name_tokens: int = Field(6, ge=1)
    """Entities whose label has more tokens are neither asked for nor offered."""
    min_score: float = Field(0.9, ge=0, le=1)
    """Confidence from which a mention found by the linker is blanked."""


@dataclass(frozen=True)
class EvaluateInputs:
    """The models to measure, and what they are measured on."""

    arms: tuple[Model, ...]
    linked: Linked
    graph: Graph
    shards: Shards


def evaluate(inputs: EvaluateInputs, config: EvaluateConfig, context: StageContext) -> None:
    """Write `scores.json` and `clozes.jsonl`. Raises ValueError where the held-out documents ask nothing."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    names = [arm.name for arm in inputs.arms]
    for conflict in of_arms(config, names):
        raise conflict
    reference = config.reference or ("control" if "control" in names else names[-1])
    tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
    fitting = {arm.name: _fitting(config, read_config(arm.folder), arm.name) for arm in inputs.arms}
    _say_which(fitting, config, context)
    wanted = tuple(probe for probe in PROBES if any(probe in chosen for chosen in fitting.values()))
    held_out = HeldOut(inputs.linked, inputs.graph, inputs.shards, config, tokenizer, context.seed)
    probes = make_probes(held_out, wanted)
    put = {name: [p for p in probes if p.name in _underscored(fitting[name])] for name in names}
    answers = {
        arm.name: {probe.name: _answer_once(arm, probe, context) for probe in put[arm.name]}
        for arm in inputs.arms
    }
    scores: dict[str, Any] = {
        name: {probe.name: probe.score(answers[name][probe.name], context.seed) for probe in put[name]}
        for name in names
    }
    for name in names:
        context.log(_flat(scores[name], name))
    scores["differences"] = _differences(probes, answers, reference, context.seed)
    scores["baselines"] = {probe.name: probe.baselines(context.seed) for probe in probes}
    scores["about"] = {probe.name: probe.about() for probe in probes}
    for arm in inputs.arms:
        for probe in put[arm.name]:
            if shown := _shown(arm, probe, context):
                scores["about"][probe.name].setdefault("shown", {})[arm.name] = shown
    (context.out / "scores.json").write_text(
        json.dumps(scores, indent=1, ensure_ascii=False), encoding="utf-8"
    )
    _write_clozes(probes, answers, context)
    for line in _sentences(scores):
        context.note(line)


def _underscored(probes: Sequence[ProbeName]) -> set[str]:
    """Probes by the names that they have in `scores.json`."""
    return {probe.replace("-", "_") for probe in probes}


def _differences(
    probes: Sequence[Probe], answers: dict[str, dict[str, Answers]], reference: str, seed: int
) -> dict[str, Any]:
    """Each arm against the reference, in the probes that both answered."""
    theirs, found = answers[reference], {}
    for name, ours in answers.items():
        both = [probe for probe in probes if probe.name in ours and probe.name in theirs]
        if name != reference and both:
            found[f"{name} − {reference}"] = {
                probe.name: probe.difference(ours[probe.name], theirs[probe.name], seed) for probe in both
            }
    return found


def score_model(
    folder: Path,
    linked: Linked,
    graph: Graph,
    shards: Shards,
    config: EvaluateConfig,
    seed: int,
    device: str = "cpu",
) -> dict[str, Any]:
    """The scores of one model folder on the present held-out documents, as one arm of `scores.json`.

    Cloze and perplexity are put in the model's own tokens, so that a model of another vocabulary is judged
    fairly; the masked loss is left out for such a model, because losses over different tokens do not compare.
    """
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    same = tokenizer.backend.to_str() == load_tokenizer(shards.folder / "tokenizer").backend.to_str()
    wanted = _fitting(config, read_config(folder), folder.name)
    wanted = tuple(probe for probe in wanted if same or probe != "mlm-loss")
    probes = make_probes(HeldOut(linked, graph, shards, config, tokenizer, seed), wanted)
    arm = _load(folder)
    return {probe.name: probe.score(probe.answer(arm, device, lambda _: None), seed) for probe in probes}


def _fitting(config: EvaluateConfig, model: TransformerConfig, arm: str) -> tuple[ProbeName, ...]:
    """The probes for an arm: those that the config names, else all that fit. Raises Clash for one that does not."""
    fitting = tuple(probe for probe in PROBES if fits(probe, model))
    for probe in config.probes or ():
        if probe not in fitting:
            does = "generates" if "perplexity" in fitting else "fills masks"
            raise ConfigConflict(
                "probes",
                f"`{arm}` {does} and cannot answer {probe}, only {' and '.join(fitting)}: leave `probes` out to have "
                "those chosen that fit each arm",
            )
    return fitting if config.probes is None else config.probes


def _say_which(
    fitting: dict[str, tuple[ProbeName, ...]], config: EvaluateConfig, context: StageContext
) -> None:
    """Tell which probes were chosen for which arms."""
    if config.probes is None:
        for chosen in dict.fromkeys(fitting.values()):
            arms = [arm for arm, its in fitting.items() if its == chosen]
            context.note(f"{' and '.join(arms)}: {', '.join(chosen)}")


def _answer_once(arm: Model, probe: Probe, context: StageContext) -> Answers:
    """An arm's answers: computed, or found in the scratch folder where an interrupted attempt left them."""
    import numpy as np

    kept = context.scratch / f"{arm.digest[:16]}-{probe.name}.npz"
    if not kept.exists():
        loaded = _load(arm.folder)
        with context.progress(f"{probe.name} of {arm.name}", probe.steps, "rows") as tick:
            answers = probe.answer(loaded, context.device, tick)
        unfinished = kept.with_suffix(".unfinished.npz")
        np.savez(unfinished, allow_pickle=False, **answers)
        unfinished.rename(kept)
    with np.load(kept, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _shown(arm: Model, probe: Probe, context: StageContext) -> dict[str, int] | None:
    """How many mentions a model that fuses is given with the text, all tests together, and of how many it has a vector;
    logged.

    None for a plain model, and where the probe shows no entities.
    """
    from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors

    mentions = probe.shown() if read_config(arm.folder).fusion is not None else ()
    if not len(mentions):
        return None
    known = int((EntityVectors.open(arm.folder).rows(mentions) >= 0).sum())
    told = {"mentions": len(mentions), "with_vector": known}
    context.log({f"{arm.name}/{probe.name}/{name}": float(count) for name, count in told.items()})
    given = f"{len(mentions):,} mentions given with the text, all tests together,"
    said = f"{arm.name}, {probe.name}: {known:,} of the {given} have a vector"
    if known:
        context.note(said)
    else:
        context.warn(f"{said}: it reads the text alone. Are its vectors of the graph of these links?")
    return told


def _load(folder: Path) -> Arm:
    """The model of a folder, with the entity vectors beside it where it fuses them."""
    from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
    from kepipe.models.folder import load
    from kepipe.models.lm_scorer import prompt_style_of, writes
    from kepipe.probes.base import Arm

    model = load(folder)
    prompt_style = prompt_style_of(model, folder) if writes(model) else None
    return Arm(model, prompt_style, EntityVectors.open(folder) if model.config.fusion is not None else None)


def _write_clozes(
    probes: Sequence[Probe], answers: dict[str, dict[str, Answers]], context: StageContext
) -> None:
    """Each case of the cloze with the rank that each arm gave the true entity."""
    from kepipe.probes.base import EntityCloze

    with (context.out / "clozes.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for probe in probes:
            if not isinstance(probe, EntityCloze):
                continue
            for place, case in enumerate(probe.test.cases):
                record = {
                    "document": case.document, "title": case.title, "start": case.start, "end": case.end,
                    "surface": case.surface, "before": case.before, "after": case.after,
                    "entity": case.entity, "label": case.label, "type": case.type,
                    "candidates": len(probe.test.candidates[case.type].names),
                    "ranks": {
                        arm: float(found[probe.name]["ranks"][place])
                        for arm, found in answers.items()
                        if probe.name in found
                    },
                }  # fmt: skip
                stream.write(json.dumps(record, ensure_ascii=False) + "\n")


def _flat(scores: dict[str, Any], arm: str) -> dict[str, float]:
    """`arm/probe/metric` → value, without the parts by type: what is logged."""
    return {
        f"{arm}/{probe}/{metric}": told["value"]
        for probe, metrics in scores.items()
        for metric, told in metrics.items()
        if "value" in told
    }


def _sentences(scores: dict[str, Any]) -> list[str]:
    """What came out, for the console."""
    lines = []
    for pair, probes in scores["differences"].items():
        told = probes.get("entity_cloze", {}).get("mrr")
        if told is not None:
            sure = "" if told["low"] is None else f" (95%: {told['low']:+.3f} to {told['high']:+.3f})"
            lines.append(f"entity cloze, {pair}: MRR {told['value']:+.3f}{sure}")
    for arm, probes in scores.items():
        if arm not in BESIDE_ARMS and (told := probes.get("perplexity")) is not None:
            values = {name: round(told[name]["value"], 2) for name in told}
            lines.append(
                f"{arm}: perplexity {values['token_perplexity']:,} per token, {values['word_perplexity']:,} per word; "
                f"{values['bits_per_byte']} bits per byte"
            )
    return lines


def of_arms(config: EvaluateConfig, names: Sequence[str]) -> Iterator[ConfigConflict]:
    """What is wrong with the arms' names."""
    for name in names:
        if name in BESIDE_ARMS:
            yield ConfigConflict(
                "inputs", f"a stage named `{name}` cannot be evaluated: give it another name"
            )
    if config.reference not in (None, *names):
        yield ConfigConflict(
            "reference", f"`{config.reference}` is no arm{suggest(config.reference or '', names)}"
        )


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Arms that cannot be measured so."""
    arms = stage.inputs["arms"]
    yield from of_arms(stage.config, [arm.name for arm in arms])
    for arm in arms:
        model = preview.model_of(arm)
        if model is None:
            continue
        try:
            _fitting(stage.config, model, arm.name)
        except ConfigConflict as conflict:
            yield conflict


EVALUATE = Stage("evaluate", 5, EvaluateInputs, EvaluateConfig, Evaluation, evaluate, conflicts=conflicts)

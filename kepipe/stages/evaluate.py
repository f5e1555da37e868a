"""Stage `evaluate`: models on held-out documents, each probe the same for all of them, with intervals and baselines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from kepipe.config import Section
from kepipe.flow.stage import Stage, Work
from kepipe.stages.artifacts import Evaluation, Graph, Linked, Model, Shards
from kepipe.types import Document, Mention

if TYPE_CHECKING:
    from kepipe.corpus.tokenizer import Tokenizer
    from kepipe.tasks.probes import Answers, Probe
    from kg.store import Graph as StoredGraph

BESIDE_ARMS = ("differences", "baselines", "about")
"""Keys of `scores.json` that are no arm."""


class EvaluateConfig(Section):
    """What is measured on the held-out documents."""

    probes: tuple[Literal["mlm-loss", "entity-cloze"], ...] = ("mlm-loss", "entity-cloze")
    """`mlm-loss`: loss at blanked tokens, phrases and mentions; `entity-cloze`: rank of a blanked mention's entity."""
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


def evaluate(inputs: EvaluateInputs, config: EvaluateConfig, work: Work) -> None:
    """Write `scores.json` and `clozes.jsonl`. Raises ValueError where the held-out documents ask nothing."""
    from kepipe.corpus.tokenizer import load_tokenizer

    names = [arm.name for arm in inputs.arms]
    taken = sorted(set(names) & set(BESIDE_ARMS))
    if taken:
        raise ValueError(f"evaluate: a stage named `{taken[0]}` cannot be evaluated; give it another name")
    tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
    probes = make_probes(inputs.linked, inputs.graph, inputs.shards, config, tokenizer, work.seed)
    answers = {
        arm.name: {probe.name: _answer_once(arm, probe, number, work) for probe in probes}
        for number, arm in enumerate(inputs.arms)
    }
    scores: dict[str, Any] = {
        name: {probe.name: probe.score(answers[name][probe.name], work.seed) for probe in probes}
        for name in names
    }
    for name in names:
        work.log(_flat(scores[name], name))
    reference = _reference(names, config.reference)
    scores["differences"] = {
        f"{name} − {reference}": {
            probe.name: probe.difference(answers[name][probe.name], answers[reference][probe.name], work.seed)
            for probe in probes
        }
        for name in names
        if name != reference
    }
    scores["baselines"] = {probe.name: probe.baselines(work.seed) for probe in probes}
    scores["about"] = {probe.name: probe.about() for probe in probes}
    (work.out / "scores.json").write_text(json.dumps(scores, indent=1, ensure_ascii=False), encoding="utf-8")
    _write_clozes(probes, answers, work)
    for line in _sentences(scores):
        work.note(line)


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

    The cloze is put in the model's own tokens, so that a model of another vocabulary is judged fairly; the
    masked loss is left out for such a model, because losses over different tokens do not compare.
    """
    from kepipe.corpus.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(folder)
    same = tokenizer.backend.to_str() == load_tokenizer(shards.folder / "tokenizer").backend.to_str()
    wanted = tuple(probe for probe in config.probes if same or probe != "mlm-loss")
    config = config.model_copy(update={"probes": wanted})
    probes = make_probes(linked, graph, shards, config, tokenizer, seed)
    model = _load(folder)
    return {probe.name: probe.score(probe.answer(model, device, lambda _: None), seed) for probe in probes}


def make_probes(
    linked: Linked, graph: Graph, shards: Shards, config: EvaluateConfig, tokenizer: Tokenizer, seed: int
) -> list[Probe]:
    """The probes that `config` names, drawn by `seed`. Raises ValueError where nothing is held out."""
    import numpy as np

    from kepipe.corpus.documents import read_documents
    from kepipe.corpus.shards import open_shard
    from kepipe.tasks.cloze import ClozeMaker, Links
    from kepipe.tasks.masked_loss import draw_blanks
    from kepipe.tasks.probes import EntityCloze, MaskedLoss
    from kg.store import open_graph

    held_out = open_shard(shards.folder / "held_out")
    if not len(held_out):
        raise ValueError(
            "evaluate: no document is held out, so there is nothing to measure on; set `held_out` of the corpus "
            "higher, or add documents"
        )
    probes: list[Probe] = []
    if "mlm-loss" in config.probes:
        rng = np.random.default_rng([seed, 1])
        blanks = draw_blanks(held_out, tokenizer, rng, config.context, config.loss_tokens)
        counts_V = np.bincount(open_shard(shards.folder / "train").tokens, minlength=tokenizer.vocab_size)
        probes.append(MaskedLoss(blanks, tokenizer, counts_V))
    if "entity-cloze" in config.probes:
        ids = set(held_out.ids())
        documents = read_documents(linked.folder / "documents.jsonl")
        store = open_graph(graph.folder)
        links = Links.count((d, d.id in ids) for d in documents)
        if config.mentions != "linked":
            links.held_out = _gold_in_graph(links.held_out, store, linked.folder / "linker")
        maker = ClozeMaker(
            store,
            tokenizer,
            max_cases=config.max_mentions,
            max_candidates=config.max_candidates,
            context_tokens=config.context,
            max_name_tokens=config.max_name_tokens,
            min_score=config.min_score,
            mentions=config.mentions,
        )
        probes.append(EntityCloze(maker.make(links, np.random.default_rng([seed, 2])), tokenizer))
    return probes


def _gold_in_graph(documents: Sequence[Document], graph: StoredGraph, linker: Path) -> list[Document]:
    """The documents with their given links as entities of the graph: an anchor names a page, not an entity.

    The rules are those by which the linker is scored; links that mean nothing in the graph are left out.
    """
    from kepipe.linking.casing import Casing
    from kepipe.linking.gold import Titles
    from kg.lexicon import Lexicon

    if not linker.exists() or not any(document.gold for document in documents):
        return list(documents)
    titles = Titles(graph, Lexicon.open(linker / "lexicon"), Casing.open(linker / "casing"))
    return [
        replace(
            document,
            gold=tuple(
                Mention(link.start, link.end, graph.ids[link.row])
                for link in titles.resolve(document.gold, document.text)
                if link.row >= 0
            ),
        )
        for document in documents
    ]


def _answer_once(arm: Model, probe: Probe, number: int, work: Work) -> Answers:
    """An arm's answers: computed, or found in the scratch folder where an interrupted attempt left them."""
    import numpy as np

    kept = work.scratch / f"{number}-{probe.name}.npz"
    if not kept.exists():
        model = _load(arm.folder)
        with work.progress(f"{probe.name} of {arm.name}", probe.steps, "rows") as tick:
            answers = probe.answer(model, work.device, tick)
        unfinished = kept.with_suffix(".unfinished.npz")
        np.savez(unfinished, allow_pickle=False, **answers)
        unfinished.rename(kept)
    with np.load(kept, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def _load(folder: Path) -> Any:
    from kepipe.models.folder import load

    return load(folder)


def _reference(names: Sequence[str], wanted: str | None) -> str:
    if wanted is None:
        return "control" if "control" in names else names[-1]
    if wanted not in names:
        raise ValueError(f"evaluate: `reference: {wanted}` is no arm; the arms are {', '.join(names)}")
    return wanted


def _write_clozes(probes: Sequence[Probe], answers: dict[str, dict[str, Answers]], work: Work) -> None:
    """Each case of the cloze with the rank that each arm gave the true entity."""
    from kepipe.tasks.probes import EntityCloze

    with (work.out / "clozes.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for probe in probes:
            if not isinstance(probe, EntityCloze):
                continue
            for place, case in enumerate(probe.test.cases):
                record = {
                    "document": case.document, "title": case.title, "start": case.start, "end": case.end,
                    "surface": case.surface, "before": case.before, "after": case.after,
                    "entity": case.entity, "label": case.label, "type": case.type,
                    "candidates": len(probe.test.candidates[case.type].names),
                    "ranks": {arm: float(found[probe.name]["ranks"][place]) for arm, found in answers.items()},
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
    return lines


EVALUATE = Stage("evaluate", 1, EvaluateInputs, EvaluateConfig, Evaluation, evaluate)

"""Evaluate the current champion and a new model on the same questions, those of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.flow.artifact import CorruptArtifact, Manifest, read_manifest
from kepipe.inference.added_knowledge import AddedKnowledge
from kepipe.stages.artifacts import Graph, Linked, Shards
from kepipe.stages.evaluate import EVALUATE, EvaluateConfig, held_out_documents
from kepipe.studies.scores import all_values
from kepipe.terminal import echo
from kepipe.tracking.conditions.base import PairedEvaluation

if TYPE_CHECKING:
    from kepipe.probes.held_out import HeldOutDocuments


def evaluate_pair(champion: Path, offered: Path | None, evaluation: Path) -> PairedEvaluation | None:
    """The champion's values and the paired differences `offered` − champion, on the inputs and with the settings of
    `evaluation`. If it has a model's answers to these questions, they are read instead of computed.

    None if an input is no longer in the store, or if a model cannot answer the questions.
    """
    from kepipe.device import resolve
    from kepipe.probes.evaluation import ask_model, pair
    from kepipe.probes.table import score_name

    found = _questions(evaluation)
    if found is None:
        return None
    held_out, config, added = found
    with_answers = evaluation if _asks_the_same(evaluation, config) else None
    try:
        champion_answers = ask_model(champion, held_out, config.probes, added, resolve("auto"), with_answers)
        scores = {
            score_name(name): probe.score(answers, held_out.seed)
            for name, (probe, answers) in champion_answers.items()
        }
        if offered is None:
            return PairedEvaluation(all_values(scores))
        offered_answers = ask_model(offered, held_out, config.probes, added, resolve("auto"), with_answers)
    except ValueError as reason:
        echo(f"the champion {champion} was not re-evaluated: {reason}", err=True)
        return None
    same = _tokens(champion) == _tokens(offered)
    differences = pair(offered_answers, champion_answers, held_out.seed, same)
    paired = {
        f"{probe}/{name}": each for probe, metrics in differences.items() for name, each in metrics.items()
    }
    return PairedEvaluation(
        all_values(scores), paired, "" if same else "its tokenizer differs from the champion's"
    )


def _questions(evaluation: Path) -> tuple[HeldOutDocuments, EvaluateConfig, AddedKnowledge] | None:
    """Held-out documents, settings and knowledge of an evaluation; None if an input is no longer in the store."""
    try:
        parts = read_manifest(evaluation)["cache_key_inputs"]
    except CorruptArtifact:
        return None
    stored = {manifest["digest"]: folder for folder, manifest in manifests(evaluation.parent)}
    digests = {name: digest for name, digest in parts["inputs"].items() if name != "arms"}
    folders = {name: stored[digest] for name, digest in digests.items() if digest in stored}
    if folders.keys() < digests.keys() | {"linked", "candidates", "shards"}:
        return None
    linked, shards = Linked.open(folders["linked"]), Shards.open(folders["shards"])
    candidates = Graph.open(folders["candidates"])
    try:
        config = EvaluateConfig(**parts["config"])
        added = AddedKnowledge(config.knowledge, {name: folders.get(name) for name in ("graph", "vectors")})
        return held_out_documents(linked, candidates, shards, config, parts["seed"]), config, added
    except ValueError as reason:
        echo(f"the questions of {evaluation} cannot be repeated: {reason}", err=True)
        return None


def _asks_the_same(evaluation: Path, config: EvaluateConfig) -> bool:
    """Whether this version of the stage, with the user's files as they are now, asks what the evaluation asked."""
    parts = read_manifest(evaluation)["cache_key_inputs"]
    now = EVALUATE.version, dict(EVALUATE.fingerprint(config))
    return (parts.get("version"), parts.get("sources")) == now


def _tokens(folder: Path) -> str:
    """A model's tokenizer as JSON, for comparison."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    text: str = load_tokenizer(folder).backend.to_str()
    return text


def manifests(store: Path) -> Iterator[tuple[Path, Manifest]]:
    """The sealed folders of a store with their manifests."""
    for folder in sorted(store.iterdir()):
        try:
            yield folder, read_manifest(folder)
        except CorruptArtifact:
            continue

"""Stage `embed`: a graph → entity vectors, scored by link prediction against two baselines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from kepipe.config import ConfigConflict, Section, UserPath, runtime_only
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Graph, Model, Vectors
from kg.embedding_models import TRANSE, fitting_width, name_model
from kg.embedding_optimizers import OptimizerName
from kg.vectors import FILES

if TYPE_CHECKING:
    from kg.embedding import Trained, Training
    from kg.ranking import Scorer
    from kg.store import Graph as StoredGraph
    from kg.store import Triples
    from kg.warm_start import WarmStart

Count = Annotated[int, Field(ge=1)]


class EmbedConfig(Section):
    """How entity vectors are trained: negative sampling per batch, Adam, a linearly decreasing learning rate."""

    model: Annotated[str, AfterValidator(name_model)] = TRANSE
    """The name of a PyKEEN model that is trained on triples alone; an invalid name lists them."""
    dim: Count = 64
    """Width of a vector."""
    epochs: Count = 15
    """Passes over the training triples."""
    batch: Count | None = None
    """Triples per step. None: 1024, or fewer so that an epoch has at least 50 steps."""
    negatives: Count | None = None
    """Negative entities per batch. None: 512 for TransE, 64 for other models, which are slower."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Initial learning rate of Adam; it decreases linearly to 2% of this."""
    optimizer: OptimizerName = "adam"
    """adam: all vectors move in every step. sparse-adam: for large graphs, with TransE: a step changes the vectors of
    its batch only, and costs the same however many entities there are."""
    norm: Literal[1, 2] = 2
    """p of TransE's Lp distance; 2 is much faster."""
    loss: Literal["softmax", "self-adversarial"] = "softmax"
    """`softmax`: cross-entropy over the negatives; `self-adversarial`: Sun et al. 2019, with the two keys below."""
    margin: Annotated[float, Field(ge=0)] = 9.0
    """Margin γ of the self-adversarial loss."""
    temperature: Annotated[float, Field(gt=0)] = 1.0
    """Temperature α that weights hard negatives in the self-adversarial loss."""
    validate_every: Annotated[int, Field(ge=0)] = 5
    """Epochs between rankings of up to 1,000 held-out triples; 0: never."""
    patience: Annotated[int, Field(ge=0)] = 0
    """Early stopping: number of rankings without improvement, after which the best vectors are kept; 0: off."""
    warm_start: UserPath | None = runtime_only(None)
    """A folder with the vectors of an earlier run, from which entities with the same id start; needs fewer epochs."""
    epochs_again: Annotated[int, Field(ge=0)] = 2
    """With the input `start`: epochs in which the model's vectors are trained further, at the learning rate of the last
    epochs. 0: known vectors are kept bit by bit, and new ones are composed from their neighbours'."""

    @model_validator(mode="after")
    def _composes(self) -> EmbedConfig:
        if not self.epochs_again and self.model != TRANSE:
            raise ValueError(
                f"`epochs_again: 0` is only supported for {TRANSE}; {self.model} needs 1 or more"
            )
        return self

    @model_validator(mode="after")
    def _sparse(self) -> EmbedConfig:
        if self.optimizer == "sparse-adam" and self.model != TRANSE:
            raise ValueError(f"`optimizer: sparse-adam` trains {TRANSE} only: leave it out")
        return self

    def training(self, *, again: bool) -> Training:
        """The training settings; `again`: for the further training of existing vectors."""
        from kg.embedding import Training

        settings = Training(**self.model_dump(exclude={"warm_start", "epochs_again"}))
        if not again:
            return settings
        share = 1 - 0.98 * max(0, self.epochs - self.epochs_again) / self.epochs
        return replace(settings, epochs=self.epochs_again, learning_rate=self.learning_rate * share)


@dataclass(frozen=True)
class EmbedInputs:
    """The graph whose entities and relations get vectors; a model whose entity vectors they start from."""

    graph: Graph
    start: Model | None = None


def embed(inputs: EmbedInputs, config: EmbedConfig, context: StageContext) -> None:
    """Write `vectors.safetensors`, `entities.txt`, `relations.txt` and `scores.json`."""
    from kepipe.flow.artifact import link_folder
    from kepipe.stages import earlier_vectors
    from kg.store import open_graph
    from kg.vectors import save_vectors

    graph = open_graph(inputs.graph.folder)
    before = None if inputs.start is None else earlier_vectors.vectors_of(inputs.start, config, context)
    if before is not None and earlier_vectors.is_of(before, inputs.graph):
        link_folder(before.folder, context.out)
        context.note("the graph has not changed: its vectors are kept")
        return
    if before is not None:
        start: WarmStart | None = earlier_vectors.start_with(before, graph, config, context)
    else:
        start = _start(graph, config, context)
    entities, relations = list(range(len(graph))), list(range(len(graph.relations)))
    if start is not None and before is not None and not config.epochs_again:
        entities, relations, trained = earlier_vectors.untrained(start, graph, config.norm)
    else:
        trained = _train(graph, config.training(again=before is not None), start, context)
    save_vectors(
        context.out,
        [graph.ids[row] for row in entities],
        trained.entities[entities],
        trained.relations[relations],
        [graph.relations[row].id for row in relations],
        config.model,
    )
    held_out: dict[str, Triples] = {
        split: graph.triples(split) for split in ("valid", "test") if split in graph.splits
    }
    if before is not None and inputs.start is not None:
        for split, triples in held_out.items():
            held_out[split] = earlier_vectors.unseen(triples, graph, inputs.start, context)
    scores = _score(graph, held_out, trained.scorer, context)
    (context.out / "scores.json").write_text(json.dumps(scores, indent=1))


def _train(graph: StoredGraph, settings: Training, start: WarmStart | None, context: StageContext) -> Trained:
    from kg.embedding import train

    done = 0
    with context.progress(f"training {settings.model}", settings.epochs, "epochs") as tick:

        def on_epoch(epoch: int, figures: Mapping[str, float]) -> None:
            nonlocal done
            context.log(figures, step=epoch)
            tick(epoch - done)
            done = epoch

        return train(graph, settings, context.scratch, context.seed, context.device, on_epoch, start=start)


def _start(graph: StoredGraph, config: EmbedConfig, context: StageContext) -> WarmStart | None:
    from kg.warm_start import start_from

    if config.warm_start is None:
        return None
    start = start_from(config.warm_start, graph, place_new=config.model == TRANSE)
    context.note(
        f"{len(start.entity_rows):,} of {len(graph):,} entities start with vectors from {config.warm_start}"
    )
    return start


def conflicts(planned: Planned) -> Iterable[ConfigConflict]:
    """An invalid width; a `warm_start` folder without vectors, or with those of another model."""
    from kg.vectors import open_vectors

    config: EmbedConfig = planned.config
    width = fitting_width(config.model, config.dim)
    if width != config.dim:
        yield ConfigConflict(
            "dim", f"{config.model} cannot reshape {config.dim} numbers to a matrix: set `dim: {width}`"
        )
    if config.warm_start is None:
        return
    if planned.input("start") is not None:
        yield ConfigConflict("warm_start", "the model of `inputs.start` has vectors too: remove one of them")
        return
    try:
        old = open_vectors(config.warm_start)
        made_by = old.model
    except ValueError as error:
        yield ConfigConflict("warm_start", str(error))
        return
    if made_by is not None and made_by.lower() != config.model.lower():
        yield ConfigConflict(
            "warm_start",
            f"vectors of {made_by}, from which {config.model} cannot start: set `model: {made_by}`",
        )
    elif config.model == TRANSE and old.dim != config.dim:
        message = (
            f"vectors of width {old.dim}, from which width {config.dim} cannot start: set `dim: {old.dim}`"
        )
        yield ConfigConflict("warm_start", message)


def fingerprint(config: EmbedConfig) -> Mapping[str, str]:
    """Digests of the vectors that training starts from."""
    if config.warm_start is None:
        return {}
    files = (config.warm_start / name for name in FILES)
    return {file.name: digest_source(file) for file in files if file.is_file()}


def _score(
    graph: StoredGraph, triples_of: Mapping[str, Triples], scorer: Scorer, context: StageContext
) -> dict[str, dict[str, float]]:
    """Filtered link prediction scores of held-out triples by split, and of two baselines on the last split."""
    from kg.ranking import Popularity, filtered_ranks, random_mrr, summarise

    held_out = [split for split, triples in triples_of.items() if len(triples)]
    if not held_out:
        context.warn("the graph has no held-out triples: its vectors are not scored")
        return {}
    scores: dict[str, dict[str, float]] = {}
    total = 2 * sum(len(triples_of[split]) for split in held_out)
    with context.progress("ranking held-out triples", total, "ranks") as tick:
        for split in held_out:
            scores[split] = summarise(filtered_ranks(graph, triples_of[split], scorer, tick))
    last = held_out[-1]
    scores["popularity"] = summarise(filtered_ranks(graph, triples_of[last], Popularity(graph)))
    scores["random"] = {"mrr": random_mrr(len(graph)), "n": float(len(triples_of[last]))}
    context.log(
        {f"{name}_{metric}": value for name, values in scores.items() for metric, value in values.items()}
    )
    context.note(
        f"link prediction ({last}): MRR {scores[last]['mrr']:.3f}, Hits@10 {scores[last]['hits@10']:.3f}; "
        f"by popularity {scores['popularity']['mrr']:.3f}, at random {scores['random']['mrr']:.4f}"
    )
    return scores


EMBED = Stage("embed", 5, EmbedInputs, EmbedConfig, Vectors, embed, fingerprint, conflicts)

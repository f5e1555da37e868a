"""Whether a cross-encoder that reads the few open mentions improves the linker, and at what cost: `KEPIPE_DATA=… python
-m tests.benchmarks.linking_cross_encoder [FOLDER]`; the graph, annotations and the training are kept in FOLDER.

A cross-encoder reads a context, in which a mention is marked, together with "label: description" of one candidate
(Wu et al. 2020, "Scalable Zero-shot Entity Linking with Dense Entity Retrieval", §4.2): MiniLM, and a linear score of
the mean of its hidden states. It is trained without labels, on the contexts on which a dense view is trained
(`context_pairs`): a softmax over the entity that is meant, the likeliest others with the same name, and random ones of
its kind where there are too few. Half of the contexts are of entities whose name others have too.

A mention is *open* if it can be linked and a second candidate is nearly as probable as the best one (`MARGIN`). Only
open mentions are read. The logit of a candidate is lowered by the log odds of the likeliest candidate against it, times
a weight. "Best possible" is F1 if the annotated entity is chosen wherever it is among the candidates that are read.

Printed are F1 by kind and weight, gains with standard errors (paired bootstrap over texts), which weight the other
kinds choose and what it gains, and milliseconds of processor time per 1,000 words, annotation not included. The time of
the cross-encoder is that of tokenising and reading; finding the open mentions is not counted, since the linker has
their probabilities. GeoNames is left out: its entities have no descriptions, and its own training would be needed.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.arrays import Floats, Ints, padded_batches
from kepipe.data.batch import Batch
from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.encoding import RowFormat, encode_rows
from kepipe.finetuning.examples import Example
from kepipe.finetuning.heads import LabelHead
from kepipe.finetuning.number_output import NumberOutput
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.rows import Row
from kepipe.finetuning.task_model import TaskModel
from kepipe.flow.stage import StageContext
from kepipe.inference.opening import load_encoder
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.describe import describe
from kepipe.linking.kb.dense import entity_texts
from kepipe.linking.linker import Linker
from kepipe.linking.text.batch import TextBatch, begins
from kepipe.linking.training.context_pairs import context_pairs
from kepipe.models.pretrained import locate
from kepipe.models.protocols import TrainableEncoder
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.training.loop import train
from kepipe.training.settings import TrainingSettings
from kg.store import Graph
from tests.benchmarks.linking_evidence import Evidence, WithEvidence, relative
from tests.benchmarks.linking_self_training import gain, left_out
from tests.benchmarks.linking_sets import SETS, stored_graph
from tests.benchmarks.two_views import Kind, f1
from tests.support.toy_training import EventRecorder

STEPS, MENTIONS, COMPARED = 200, 6, 4
"""Updates; mentions of an update; candidates of a mention in training, the right one first."""
LEARNING_RATE = 1e-4
HELD_OUT = 100
"""Contexts that are not trained on, all of names that several entities have."""
LENGTH, SIDE = 96, 100
"""Tokens of a pair, at most; characters of the context on either side of the mention."""
BATCH_TOKENS = 4096
MARGIN = 0.3
"""A candidate is read if its probability is at most this much below that of the best one."""
WEIGHTS = (0.5, 1.0, 2.0)
DENSE_GAIN, DENSE_MILLISECONDS = 0.003, 3.8
"""What the contexts of a dense view gain and cost (docs/linking.md)."""


def marked(text: str, start: int, end: int) -> str:
    """The context of a mention, which stands in brackets."""
    return f"{text[max(0, start - SIDE) : start]}[{text[start:end]}]{text[end : end + SIDE]}"


Question = tuple[str, Sequence[int]]
"""A context and candidates, in training the right one first."""


def questions(
    linker: Linker, graph: Graph, number: int, seed: int = 0
) -> tuple[list[Question], list[Question]]:
    """Questions to train on, and held-out ones; of each context the first mention of its entity is asked about."""
    rng, pairs = np.random.default_rng(seed), context_pairs(linker, graph)
    shared, order = pairs.rivals >= 0, rng.permutation(len(pairs.rows))
    drawn = [order[shared[order]][: number // 2 + 2 * HELD_OUT], order[~shared[order]][:number]]
    several, single = (
        _asked(linker, [pairs.texts[n] for n in part], pairs.rows[part], rng) for part in drawn
    )
    held_out, several = several[:HELD_OUT], several[HELD_OUT:][: number // 2]
    taught = several + single[: number - len(several)]
    return [taught[place] for place in rng.permutation(len(taught))], held_out


def _asked(linker: Linker, texts: Sequence[str], rows: Ints, rng: np.random.Generator) -> list[Question]:
    matches, kinds = linker.gazetteer.find_all(texts), linker.knowledge.kinds
    starts = begins(texts)
    text_of = (np.searchsorted(starts, matches.starts, "right") - 1)[matches.owners]
    hits = np.flatnonzero(matches.rows == rows[text_of])
    asked: list[Question] = []
    for number, place in zip(*np.unique(text_of[hits], return_index=True), strict=True):
        match, row = matches.owners[hits[place]], int(rows[number])
        named = matches.rows[matches.bounds[match] : matches.bounds[match + 1]]
        alike = rng.choice(np.flatnonzero(kinds == kinds[row]), COMPARED)
        others = [other for other in dict.fromkeys([*named.tolist(), *alike.tolist()]) if other != row]
        span = (int(each[match] - starts[number]) for each in (matches.starts, matches.ends))
        if len(others) >= COMPARED - 1:
            asked.append((marked(texts[number], *span), [row, *others[: COMPARED - 1]]))
    return asked


@dataclass(frozen=True)
class ChoiceCriterion:
    """Cross-entropy of the right one of `COMPARED` candidates, the first, and accuracy."""

    terms: tuple[str, ...] = ("choice",)
    metrics: tuple[str, ...] = ("accuracy",)

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The number of mentions."""
        return dict.fromkeys((*self.terms, *self.metrics), len(batch.tokens) // COMPARED)

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        scores_MC = model(batch).reshape(-1, COMPARED)
        right_M = torch.zeros(len(scores_MC), dtype=torch.int64)
        accuracy = (scores_MC.argmax(1) == 0).float().mean()
        return {"choice": F.cross_entropy(scores_MC, right_M), "accuracy": accuracy}


@dataclass(frozen=True)
class CrossEncoder:
    """A model that scores pairs of a context and a candidate. `texts`: of the entities, by row."""

    model: TaskModel[TrainableEncoder]
    row_format: RowFormat
    texts: Sequence[str]

    @classmethod
    def of(cls, graph: Graph, folder: Path, seed: int = 0) -> CrossEncoder:
        """An untrained one, from a model folder."""
        torch.manual_seed(seed)
        encoder = load_encoder(folder)
        model = TaskModel(encoder, LabelHead(encoder.hidden_size, 1, 1, mean=True))
        return cls(model, RowFormat(load_tokenizer(folder), LENGTH, "row"), list(entity_texts(graph)))

    def rows(self, asked: Sequence[Question]) -> list[Row]:
        """A row for each candidate."""
        pairs = [(context, row) for context, rows in asked for row in rows]
        return encode_rows(
            [Example("", text, second=self.texts[row]) for text, row in pairs], self.row_format
        )

    @property
    def read(self) -> TaskCollator:
        """Rows → batch."""
        return TaskCollator(NumberOutput(), AnswerFormat(self.row_format.tokenizer, (), 0, "row", mean=True))

    @torch.no_grad()
    def scores(self, asked: Sequence[Question]) -> Floats:
        """The scores of all candidates, one after the other."""
        rows = self.rows(asked)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        order, scores = np.argsort(lengths, kind="stable"), np.zeros(len(rows))
        for part in padded_batches(lengths[order].tolist(), BATCH_TOKENS):
            batch = self.read.read([rows[place] for place in order[part].tolist()])
            scores[order[part]] = self.model(batch)[:, 0].numpy()
        return scores

    def train(self, asked: Sequence[Question], scratch: Path) -> None:
        """Train in place; a training that `scratch` has is not repeated."""
        rows, size = self.rows(asked), MENTIONS * COMPARED
        settings = TrainingSettings(
            steps=STEPS, learning_rate=LEARNING_RATE, warmup=0.1, batch_tokens=size * LENGTH, precision="fp32"
        )
        heard = EventRecorder()
        train(
            self.model.train(),
            lambda number, _: self.read.read(rows[number * size : (number + 1) * size]),
            ChoiceCriterion(),
            settings,
            StageContext(scratch, scratch, 0, "cpu", heard),
        )
        self.model.eval()


def trained(graph: Graph, folder: Path) -> CrossEncoder:
    """The cross-encoder of a graph; prints how often it is right on held-out contexts."""
    linker, encoder = Linker.build(graph), CrossEncoder.of(graph, locate("minilm"))
    taught, held_out = questions(linker, graph, STEPS * MENTIONS)
    scratch = folder / "cross-encoder"
    scratch.mkdir(exist_ok=True)
    begun = time.process_time()
    encoder.train(taught, scratch)
    spent = time.process_time() - begun
    right = (encoder.scores(held_out).reshape(-1, COMPARED).argmax(1) == 0).mean()
    first = np.mean([_prior_is_right(linker, rows) for _, rows in held_out])
    print(
        f"{len(taught)} contexts, trained in {spent:.0f} s of a core; of {len(held_out)} held-out contexts "
        f"{right:.2f} right; {first:.2f} by degree",
        flush=True,
    )
    return encoder


def _prior_is_right(linker: Linker, rows: Sequence[int]) -> bool:
    return bool(linker.degrees[list(rows)].argmax() == 0)


@dataclass
class OpenMentions:
    """Evidence for the candidates of open mentions, for weight 1, by text of the batch. `linkable`, `opened`: counts of
    mentions; `seconds`: what the cross-encoder took."""

    encoder: CrossEncoder
    known: dict[str, Floats] = field(default_factory=dict)
    read: dict[str, Ints] = field(default_factory=dict)
    linkable: int = 0
    opened: int = 0
    seconds: float = 0.0

    def weighted(self, weight: float) -> Evidence:
        """The evidence for a weight."""
        return lambda linker, batch, matches: weight * self.evidence(linker, batch, matches)

    def best_possible(self, kind: Kind) -> Evidence:
        """Evidence that rejects all candidates that are read but the annotated one, where that is among them."""
        gold = {text.document.text: {link[:2]: link.row for link in text.links} for text in kind.gold.texts}

        def evidence(linker: Linker, batch: TextBatch, matches: Matches) -> Floats:
            self.evidence(linker, batch, matches)
            texts = batch.number(matches.starts)
            begin = batch.begins[texts]
            spans = zip((matches.starts - begin).tolist(), (matches.ends - begin).tolist(), strict=True)
            meant = [
                gold[batch.texts[number]].get(span, -1)
                for number, span in zip(texts.tolist(), spans, strict=True)
            ]
            right = np.zeros(len(matches.rows))
            chosen = self.read[batch.text]
            right[chosen] = matches.rows[chosen] == np.asarray(meant)[matches.owners[chosen]]
            found = np.maximum.reduceat(right, matches.bounds[:-1])[matches.owners]
            return np.where((found > 0) & (right == 0), -30.0, 0.0)

        return evidence

    def evidence(self, linker: Linker, batch: TextBatch, matches: Matches) -> Floats:
        """The score of each candidate that is read, relative to the best of its mention; 0 for others: [P]."""
        if batch.text not in self.known:
            chosen = self._candidates(linker, batch, matches)
            owners = matches.owners[chosen]
            mentions, firsts = np.unique(owners, return_index=True)
            rows = np.split(matches.rows[chosen], firsts[1:])
            texts = batch.number(matches.starts[mentions])
            places = zip(mentions.tolist(), texts.tolist(), rows, strict=True)
            begun = time.process_time()
            asked = [
                (
                    marked(
                        batch.texts[text],
                        int(matches.starts[mention] - batch.begins[text]),
                        int(matches.ends[mention] - batch.begins[text]),
                    ),
                    group.tolist(),
                )
                for mention, text, group in places
            ]
            values = np.full(len(matches.rows), -np.inf)
            if asked:
                values[chosen] = self.encoder.scores(asked)
            self.seconds += time.process_time() - begun
            self.opened += len(asked)
            is_open = np.isin(matches.owners, mentions)
            values = np.where(is_open, values, 0.0)
            self.read[batch.text] = chosen
            self.known[batch.text] = np.where(np.isinf(values), 0.0, relative(values, matches))
        return self.known[batch.text]

    def _candidates(self, linker: Linker, batch: TextBatch, matches: Matches) -> Ints:
        """The candidates to read, at least two of each open mention."""
        features = describe(batch, matches, linker.knowledge, linker.casing, linker.ranker.affinity)
        scores = linker.ranker.score_parts(features.of_match, features.of_candidate, matches.owners, None)
        scores[~linker.marks.allows(batch, matches, linker.knowledge)] = -1.0
        best = np.maximum.reduceat(scores, matches.bounds[:-1])
        self.linkable += int((best >= linker.ranker.threshold).sum())
        near = (scores >= 0) & (best >= linker.ranker.threshold)[matches.owners]
        near &= scores >= best[matches.owners] - MARGIN
        number = np.bincount(matches.owners[near], minlength=len(matches))
        return np.flatnonzero(near & (number >= 2)[matches.owners])


def main(folder: Path) -> None:
    """Print the table, the gains, and the time."""
    names = [name for name in SETS if SETS[name][0] == "FB15k-237" and name != "oke"]
    encoder = trained(stored_graph("FB15k-237", folder), folder)
    gains: dict[str, list[tuple[float, float]]] = {f"weight {weight:g}": [] for weight in WEIGHTS}
    without = added = 0.0
    words = 0
    print("| | open |", " | ".join(("without", *gains, "best possible")), "|")
    for name in names:
        kind, mentions = Kind.read(name, folder), OpenMentions(encoder)
        kind.counts(kind.linker)  # fills the caches
        begun = time.process_time()
        before = kind.counts(kind.linker)
        without += time.process_time() - begun
        row = [before]
        for arm, weight in zip(gains, WEIGHTS, strict=True):
            row.append(kind.counts(WithEvidence.of(kind.linker, mentions.weighted(weight))))
            gains[arm].append(gain(before, row[-1]))
        row.append(kind.counts(WithEvidence.of(kind.linker, mentions.best_possible(kind))))
        added += mentions.seconds
        words += sum(len(text.document.text.split()) for text in kind.gold.texts)
        cells = " | ".join(f"{f1(counts.sum(axis=0)):.3f}" for counts in row)
        share = f"{mentions.opened} of {mentions.linkable}, {mentions.opened / mentions.linkable:.1%}"
        print(f"| {name} | {share} | {cells} |", flush=True)
    milliseconds = 1e6 * added / words
    for arm, each in gains.items():
        values, errors = np.asarray(each).T
        error = np.sqrt((errors**2).sum()) / len(errors)
        print(
            f"{arm}: mean gain {values.mean():+.4f} ± {error:.4f}, worst {values.min():+.4f};",
            f"{values.mean() / milliseconds:+.6f} per millisecond",
        )
    left_out({arm: [value for value, _ in each] for arm, each in gains.items()}, names)
    print(
        f"linker {1e6 * without / words:.1f} ms, cross-encoder {milliseconds:.1f} ms more per 1,000 words;",
        f"contexts of a dense view: {DENSE_GAIN / DENSE_MILLISECONDS:+.6f} per millisecond",
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))

"""Entity links as a task's output: words are labelled, and the names among them get an entity each, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.finetuning.conll import OUTSIDE
from kepipe.finetuning.entity_index import EntityIndex
from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import AnswerFormat, LossSettings
from kepipe.finetuning.rows import NIL, Candidates, Row
from kepipe.finetuning.sequence_decoding import NEVER, likeliest_sequence, rules
from kepipe.finetuning.splits import Splits
from kepipe.finetuning.tag_output import WORDS
from kepipe.finetuning.windows import merge_word_values
from kepipe.linking.decision.overlaps import select_spans

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.finetuning.link_head import LinkCriterion, LinkHead, Names
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder

LABELS = ("B-ENTITY", "I-ENTITY", OUTSIDE)


class WordLink(NamedTuple):
    """Words first … last mean an entity, by this probability."""

    first: int
    last: int
    entity: str
    score: float


@dataclass(frozen=True)
class LinkAnswer:
    """The label index of each word that was read, int [W] (−1: not read), and the links, in order. `index`: of the
    entities that can be linked. `found`: the number of gold links that were among the candidates."""

    labels: Ints
    links: tuple[WordLink, ...]
    index: EntityIndex
    found: int


@dataclass(frozen=True)
class LinkOutput:
    """A `TaskOutput` of words; the answer to an example is a `LinkAnswer`."""

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """B, I and O. Raises ValueError if the training data has no mention."""
        if not any(example.links for example in splits["train"]):
            raise ValueError("no text of the training data has a mention: there is nothing to learn")
        return LABELS

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """The label of each word; the right candidates are known from `EntityIndex.annotate`."""
        return WORDS.encode(rows, examples, answers)

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """Adds the places of words; if the rows have labels, the fields of `Names` and the number of the right
        candidate of each name, int [S], from 1 (0: no entity)."""

        from kepipe.objectives.losses import tensor

        batch = WORDS.collate(batch, rows, answers)
        if batch.labels is None:
            return batch
        names, meant_S = _names_of(batch, rows, _index(answers))
        return replace(batch, extra={**batch.extra, **names._asdict(), "meant": tensor(meant_S)})

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> LinkHead:
        """The weights of features start as those of the linker's ranker."""
        import torch

        from kepipe.finetuning.heads import initialise
        from kepipe.finetuning.link_head import LinkHead

        index = _index(answers)
        ranker = index.linker.ranker
        weights_F = torch.from_numpy(ranker.weights).float()
        width = index.vectors.shape[1]
        head = LinkHead(
            model.hidden_size, len(answers.labels), width, weights_F, ranker.bias, dropout=dropout
        )
        initialise(head, seed)
        with torch.no_grad():
            generator = torch.Generator().manual_seed(seed + 1)
            head.entities.weight.normal_(0.0, head.width**-0.5, generator=generator)
        return head

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> LinkCriterion:  # noqa: ARG002
        """The loss of labels and of candidates."""
        from kepipe.finetuning.link_head import LinkCriterion

        return LinkCriterion(loss.label_smoothing)

    def answers(
        self, model: TaskModel[TrainableEncoder], batch: Batch, answers: AnswerFormat
    ) -> list[Floats]:
        """The head's values of the words of each row, float [n, L + 2P]."""
        return WORDS.answers(model, batch, answers)

    def merge(
        self,
        model: TaskModel[TrainableEncoder],
        parts: Sequence[Floats],
        rows: Sequence[Row],
        answers: AnswerFormat,
    ) -> LinkAnswer:
        """The links are the best candidate of each name where it is more probable than no entity, of overlapping names
        those with the largest sum of probability × length. The labels of the words are the most probable valid sequence
        in which each link is a mention."""
        index = _index(answers)
        values_WX = merge_word_values(parts, rows)
        read_W: Bools = np.asarray(~np.isnan(values_WX).any(axis=1))
        outside_L = np.where(np.array(answers.labels) == OUTSIDE, 0.0, -1e3)
        logits_WL = np.where(read_W[:, None], values_WX[:, : len(answers.labels)], outside_L)
        names = _of_windows(rows)
        links = tuple(_links(model, values_WX, names, index))
        for link in links:
            _require_mention(logits_WL, link)
        labels_W = np.where(read_W, likeliest_sequence(logits_WL, rules(answers.labels)), -1)
        found = 0 if names.gold is None else int((names.gold >= 0).sum())
        return LinkAnswer(labels_W, links, index, found)


def _require_mention(logits_WL: Floats, link: WordLink) -> None:
    """Leave only the labels with which a link is a mention."""
    begin, inside, _ = range(len(LABELS))
    for word in range(link.first, link.last + 1):
        kept = begin if word == link.first else inside
        logits_WL[word, np.arange(len(LABELS)) != kept] = NEVER
    logits_WL[link.last + 1 : link.last + 2, inside] = NEVER


def _index(answers: AnswerFormat) -> EntityIndex:
    assert isinstance(answers.resource, EntityIndex)
    return answers.resource


def _names_of(batch: Batch, rows: Sequence[Row], index: EntityIndex) -> tuple[Names, Ints]:
    """The names of a batch, without those that lost a word when tokens moved, and the number of the right candidate of
    each."""
    from kepipe.finetuning.link_head import IGNORED
    from kepipe.finetuning.read_positions import current_read_positions

    of_N, places_N = current_read_positions(batch, rows)
    case_N = np.where(places_N >= 0, np.cumsum(places_N >= 0) - 1, -1)
    begins_B = np.searchsorted(of_N, np.arange(len(rows)))
    ends, owners, entities, features, meant = [], [], [], [], []
    count = 0
    for row, begin in zip(rows, begins_B.tolist(), strict=True):
        names = row.candidates
        assert names is not None
        assert names.gold is not None
        cases_S2 = case_N[begin + np.searchsorted(np.asarray(row.read_words), names.spans)]
        whole = np.flatnonzero((cases_S2 >= 0).all(axis=1))
        names = names.take(whole)
        assert names.gold is not None
        firsts_S = np.searchsorted(names.owners, np.arange(len(names.spans)))
        number_S = np.where(names.gold >= 0, names.gold - firsts_S + 1, 0)
        meant.append(np.where(names.gold < NIL, IGNORED, number_S))
        ends.append(cases_S2[whole])
        owners.append(names.owners + count)
        entities.append(names.entities)
        features.append(names.features)
        count += len(names.spans)
    return _names(
        np.concatenate(ends),
        np.concatenate(owners),
        np.concatenate(entities),
        np.concatenate(features),
        index,
    ), np.concatenate(meant)


def _names(cases_S2: Ints, owners: Ints, entities: Ints, features: Floats, index: EntityIndex) -> Names:
    import torch

    from kepipe.finetuning.link_head import Names
    from kepipe.objectives.losses import tensor

    first_S, last_S = tensor(cases_S2.reshape(-1, 2)).T
    vectors_KD = torch.from_numpy(index.vectors[entities].astype(np.float32))
    return Names(first_S, last_S, tensor(owners), vectors_KD, torch.from_numpy(features).float())


def _of_windows(rows: Sequence[Row]) -> Candidates:
    """The names of a text from those of its windows, which may share some."""
    parts = [row.candidates for row in rows if row.candidates is not None]
    if len(parts) == 1:
        return parts[0]
    counts = np.array([len(part.spans) for part in parts])
    before = np.cumsum(counts) - counts
    sizes = np.cumsum([0, *(len(part.owners) for part in parts)])
    known = [part.gold for part in parts if part.gold is not None]
    shifted = [np.where(gold < 0, gold, gold + size) for gold, size in zip(known, sizes, strict=False)]
    together = Candidates(
        np.concatenate([part.spans for part in parts]),
        np.concatenate([part.owners + shift for part, shift in zip(parts, before, strict=True)]),
        np.concatenate([part.entities for part in parts]),
        np.concatenate([part.features for part in parts]),
        np.concatenate(shifted) if len(known) == len(parts) else None,
    )
    _, firsts = np.unique(together.spans, axis=0, return_index=True)
    return together.take(np.sort(firsts))


def _links(
    model: TaskModel[TrainableEncoder], values_WX: Floats, names: Candidates, index: EntityIndex
) -> list[WordLink]:
    import torch

    from kepipe.finetuning.link_head import LinkHead, table

    if not len(names.spans):
        return []
    assert isinstance(model.head, LinkHead)
    device = model.head.bias.device
    asked = _names(names.spans, names.owners, names.entities, names.features, index)
    asked = type(asked)(*(part.to(device) for part in asked))
    with torch.inference_mode():
        words_WX = torch.from_numpy(values_WX).float().to(device)
        logits_SC, column_K = table(*model.head.scores(words_WX, asked), asked.owners)
        probable_SC = logits_SC.cpu().double().softmax(1).numpy()
    scores_K = probable_SC[names.owners, column_K.cpu().numpy()]
    best_S = np.maximum.reduceat(scores_K, np.flatnonzero(np.diff(names.owners, prepend=-1)))
    best = np.flatnonzero((scores_K == best_S[names.owners]) & (scores_K > probable_SC[names.owners, 0]))
    best = best[np.diff(names.owners[best], prepend=-1) > 0]
    best = best[np.lexsort(names.spans[names.owners[best]].T[::-1])]  # windows may share names
    first, last = names.spans[names.owners[best]].T
    chosen = best[select_spans(first, last + 1, scores_K[best] * (last + 1 - first))]
    links = []
    for k in chosen.tolist():
        begin, end = names.spans[names.owners[k]].tolist()
        links.append(WordLink(begin, end, index.id(int(names.entities[k])), float(scores_K[k])))
    return links

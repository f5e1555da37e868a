"""Sequence decoding: allowed transitions; Viterbi and marginals against brute force."""

from __future__ import annotations

import json
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, IOBES, Entities

from kepipe.finetuning.crf import CrfHead, log_likelihoods
from kepipe.finetuning.sequence_decoding import (
    Transitions,
    allowed,
    as_valid_bio,
    likeliest_sequence,
    marginals,
    rules,
)
from tests.support.tasks import base_model, finetune, write_task

BIO = ("B-LOC", "B-PER", "I-LOC", "I-PER", "O")
BIOES = ("B-X", "E-X", "I-X", "O", "S-X")


def test_bio_spans_continue_within_one_type() -> None:
    first, last, pairs = allowed(BIO)
    assert first.tolist() == [True, True, False, False, True]
    assert last.all()
    may = {(BIO[a], BIO[b]) for a, b in zip(*np.nonzero(pairs), strict=True)}
    assert ("B-LOC", "I-LOC") in may
    assert ("I-LOC", "I-LOC") in may
    assert not {("B-PER", "I-LOC"), ("O", "I-PER"), ("I-PER", "I-LOC")} & may
    assert ("B-LOC", "O") in may


@pytest.mark.parametrize(("labels", "scheme"), [(BIO, IOB2), (BIOES, IOBES)])
def test_allowed_sequences_round_trip_through_seqeval(labels: tuple[str, ...], scheme: type) -> None:
    first, last, pairs = allowed(labels)
    for numbers in product(range(len(labels)), repeat=3):
        tags = [labels[number] for number in numbers]
        follows = all(pairs[a, b] for a, b in pairwise(numbers))
        may = first[numbers[0]] and last[numbers[-1]] and follows
        spans = Entities([tags], scheme).entities[0]
        inside = sum(entity.end - entity.start for entity in spans)
        assert may == (inside == sum(tag != "O" for tag in tags)), tags


def every(scores: np.ndarray, transitions: Transitions) -> dict[tuple[int, ...], float]:
    words, labels = scores.shape
    return {
        path: transitions.first[path[0]]
        + transitions.last[path[-1]]
        + sum(scores[word, label] for word, label in enumerate(path))
        + sum(transitions.pairs[a, b] for a, b in pairwise(path))
        for path in product(range(labels), repeat=words)
    }


@pytest.mark.parametrize("words", [1, 2, 4])
def test_viterbi_and_marginals_equal_brute_force(words: int) -> None:
    rng = np.random.default_rng(words)
    transitions = Transitions(rng.normal(size=5), rng.normal(size=5), rng.normal(size=(5, 5)))
    for these in (transitions, rules(BIO)):
        scores = rng.normal(size=(words, 5)) * 2
        paths = every(scores, these)
        assert tuple(likeliest_sequence(scores, these)) == max(paths, key=lambda path: paths[path])
        weights = np.exp(np.array([*paths.values()]))
        expected = np.zeros((words, 5))
        for path, weight in zip(paths, weights / weights.sum(), strict=True):
            expected[np.arange(words), path] += weight
        np.testing.assert_allclose(marginals(scores, these), expected, atol=1e-9)


def test_crf_likelihood_equals_brute_force() -> None:
    torch.manual_seed(0)
    head = CrfHead(8, BIO)
    with torch.no_grad():
        for weight in (head.first, head.last, head.pairs):
            weight.normal_()
    scores = torch.randn(2, 4, 5)
    gold = torch.tensor([[4, 0, 2, 4], [1, 3, 0, 0]])
    there = torch.tensor([[True] * 4, [True, True, False, False]])
    found = log_likelihoods(scores, gold, there, head.scores())
    for row, size in ((0, 4), (1, 2)):
        paths = every(scores[row, :size].double().numpy(), head.transitions())
        own = paths[tuple(gold[row, :size].tolist())]
        expected = own - np.log(np.exp(np.array([*paths.values()])).sum())
        assert found[row].item() == pytest.approx(expected, abs=1e-4)


def test_labels_inside_a_span_at_its_start_become_begin_labels() -> None:
    tags = ["I-PER", "I-PER", "O", "I-LOC", "B-LOC", "I-PER"]
    assert as_valid_bio(tags) == ["B-PER", "I-PER", "O", "B-LOC", "B-LOC", "B-PER"]
    assert get_entities(as_valid_bio(tags)) == get_entities(tags)
    assert as_valid_bio(["S-X", "O"]) == ["S-X", "O"]


@pytest.mark.parametrize("decoding", ["valid", "crf"])
def test_crf_and_constrained_decoding_give_valid_spans(tmp_path: Path, decoding: str) -> None:
    """An undertrained model: with independent decoding it predicts invalid sequences."""
    data = write_task(tmp_path, "tagging", 150, 60)
    base = base_model(tmp_path / "bert")
    changes = {"epochs": 2, "learning_rate": 3e-3}
    invalid = {}
    for name, how in (("independent", "independent"), (decoding, decoding)):
        made = finetune(tmp_path / name, base, "tagging", data, decoding=how, **changes)
        records = [json.loads(line) for line in (made.folder / "predictions.jsonl").open()]
        invalid[name] = sum(as_valid_bio(record["predicted"]) != record["predicted"] for record in records)
        sure = [span["probability"] for record in records for span in record["spans"]]
        assert all(0 <= probability <= 1 for probability in sure)
    assert invalid["independent"] > 0
    assert invalid[decoding] == 0

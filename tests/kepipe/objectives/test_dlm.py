"""ERNIE-Baidu's dialogue objective: predicting whether the turns of a dialogue belong together."""

from __future__ import annotations

import numpy as np
import torch

from kepipe.data.batch import TokenRows
from kepipe.models.base import Base, build
from kepipe.objectives import table
from kepipe.objectives.dlm import DLM
from tests.support.rows import TOKENIZER, VOCABULARY, rows


def dialogues(count: int, seed: int) -> TokenRows:
    """Two turns, each about one of two topics with its own words; `next_sentence_labels` says that both share one."""
    clean = rows(count, 16, seed, pairs=True)
    rng = np.random.default_rng(seed)
    first, same = rng.integers(0, 2, count), rng.integers(0, 2, count)
    second = np.where(same, first, 1 - first)
    topic = np.where(clean.segments == 0, first[:, None], second[:, None])
    word = 25 + topic * 4 + rng.integers(0, 4, clean.tokens.shape)
    tokens = np.where(clean.special, clean.tokens, word)
    return rows(count, 16, seed, pairs=True, tokens=tokens, next_sentence_labels=same)


def test_dlm_learns_to_detect_a_false_turn() -> None:
    """One turn alone is no evidence: the label depends on whether both turns fit."""
    objective = table.build(table.read("dlm"), TOKENIZER)
    model = build(Base(family="bert", layers=2, hidden=64, heads=2), VOCABULARY, 0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for step in range(250):
        batch = objective.collate(dialogues(64, step), np.random.default_rng(step), step / 250)
        means = objective.criterion(model, batch)
        optimizer.zero_grad()
        (means["mlm"] + means["real"]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    unseen = objective.collate(dialogues(400, 9999), np.random.default_rng(0), 1.0)
    with torch.no_grad():
        judged = model.next_sentence(model(unseen)).argmax(-1)
    assert unseen.next_sentence_labels is not None
    assert float((judged == unseen.next_sentence_labels).double().mean()) > 0.9


def test_row_labels_depend_on_tell_fakes() -> None:
    assert DLM().row_label_setting() == "tell_fakes"
    assert DLM(tell_fakes=False).row_label_setting() is None

"""Dialogues as rows of up to three turns, half of them with a turn from another dialogue (Sun et al. 2019, "DLM")."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Ints, ranges
from kepipe.data.alignment import REPLY
from kepipe.data.examples import Examples
from kepipe.data.shards import Shard

TURNS = 3
"""Turns per row: question, response, question (QRQ), or QRR, or QQR, as they occur in the dialogue."""


def plan_dialogues(shard: Shard, length: int, rng: np.random.Generator) -> Examples:
    """Rows `[CLS] turn [SEP] turn [SEP] turn [SEP]` of at most `length` tokens; a turn's segment is its role.

    A dialogue is cut into groups of three turns; if its length is not a multiple of three, the last group overlaps the
    one before. In half of the rows with at least two turns, one turn, drawn uniformly, is replaced by a random turn of
    another dialogue (`next_sentence_labels` 0, else 1); the role stays. If a row is too long, its turns are truncated
    at their ends, longest first. Raises ValueError if a document is not a dialogue.
    """
    turns, documents = shard.turns, shard.documents
    dialogues = len(documents) - 1
    silent = dialogues - int(np.isin(documents[:-1], turns).sum())
    if silent:
        raise ValueError(
            f"{shard.folder}: {silent} of {dialogues} documents have no `turns`; format dialogue needs a corpus of "
            "dialogues alone"
        )
    if dialogues < 2:
        raise ValueError(
            f"{shard.folder}: at least 2 dialogues are needed, since false turns come from another one"
        )
    begins = np.searchsorted(turns, documents)
    first, count = _threes(begins)
    window = np.repeat(np.arange(len(first)), count)
    piece = ranges(first, count)
    roles = (shard.bounds[turns[piece]] & REPLY > 0).astype(np.int64)

    fake = (rng.random(len(first)) < 0.5) & (count > 1)
    place = (np.cumsum(count) - count + (rng.random(len(first)) * count).astype(np.int64))[fake]
    piece[place] = _turns_of_others(piece[place], begins, rng)

    starts, sizes = turns[piece], turns[piece + 1] - turns[piece]
    sizes = np.minimum(sizes, _longest(sizes, count, length)[window])
    opens = np.append(True, window[1:] != window[:-1])
    return Examples(
        first=np.append(np.flatnonzero(opens), len(piece)),
        starts=starts,
        stops=starts + sizes,
        opens=opens,
        closes=np.ones(len(piece), dtype=np.bool_),
        segment=roles,
        document=np.ones(len(piece), dtype=np.int64),
        next_sentence_labels=(~fake).astype(np.int64),
    )


def _threes(begins: Ints) -> tuple[Ints, Ints]:
    """First turn and number of turns of each row: int [rows] each. `begins`: where dialogues begin among turns."""
    sizes = np.diff(begins)
    rows = -(-sizes // TURNS)
    nth = ranges(np.zeros_like(rows), rows) * TURNS
    size = np.repeat(sizes, rows)
    count = np.minimum(size, TURNS)
    return np.repeat(begins[:-1], rows) + np.minimum(nth, size - count), count


def _turns_of_others(mine: Ints, begins: Ints, rng: np.random.Generator) -> Ints:
    """For each turn a random turn of another dialogue."""
    dialogue = np.searchsorted(begins, mine, side="right") - 1
    own = begins[dialogue + 1] - begins[dialogue]
    drawn = (rng.random(len(mine)) * (begins[-1] - own)).astype(np.int64)
    found: Ints = drawn + np.where(drawn >= begins[dialogue], own, 0)
    return found


def _longest(sizes: Ints, count: Ints, length: int) -> Ints:
    """The maximum length of a turn in each row, so that the row fits: int [rows]."""
    room = length - 1 - count
    column = np.arange(TURNS)[None, :]
    at = np.cumsum(count) - count
    table = np.where(column < count[:, None], sizes[np.minimum(at[:, None] + column, len(sizes) - 1)], 0)
    shortest, middle, _ = np.sort(table, axis=1).T
    # Longer turns are cut to one common length, which shortens all three, two, or only the longest.
    level: Ints = np.maximum.reduce([room // 3, (room - shortest) // 2, room - shortest - middle])
    return level

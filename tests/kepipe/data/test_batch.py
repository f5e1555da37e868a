"""The mentions of entities in clean rows."""

from __future__ import annotations

import numpy as np

from tests.support.rows import rows


def test_mentions_are_units_with_an_entity() -> None:
    entity = np.array([[-1, 4, 4, 4, 4, 4, 4, -1, -1, -1, 7, -1]])  # two mentions of entity 4 side by side
    ids = [f"Q{n}" for n in range(8)]
    plain = rows(count=1, length=12, entities=entity, entity_ids=ids)
    mentions = plain.mentions()
    assert plain.units["entity"][0].tolist() == [-1, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, -1]
    assert list(zip(mentions.rows, mentions.first, mentions.stop, mentions.entities, strict=True)) == [
        (0, 1, 4, 4),
        (0, 4, 7, 4),
        (0, 10, 11, 7),
    ]
    assert mentions.ids is ids
    assert len(mentions) == 3


def test_a_mention_ends_with_its_unit() -> None:
    """Mentions of 2 and 1 tokens, the same entity twice in a row, and one cut by the row's end."""
    entities = np.array([[-1, 4, 4, 4, -1, 5, -1, 6, 6]])
    units = np.array([[-1, 0, 0, 1, 2, 3, 4, 5, 5]])
    mentions = rows(entities=entities, units={"entity": units}).mentions()
    assert list(zip(mentions.first, mentions.stop, mentions.entities, strict=True)) == [
        (1, 3, 4),
        (3, 4, 4),
        (5, 6, 5),
        (7, 9, 6),
    ]

"""What a mixture asks of a model: tasks and label heads, of all its objectives."""

from __future__ import annotations

import pytest

from kepipe.objectives import table


@pytest.mark.parametrize(("tasks", "count"), [(False, 0), (True, 2)])
def test_mixture_asks_for_as_many_tasks_as_it_tells_apart(tasks: bool, count: int) -> None:
    parts = [{"objective": "mlm"}, {"objective": "span-masking"}]
    mixture = table.read({"name": "mixture", "tasks": tasks, "of": parts})
    assert mixture.num_tasks() == count
    assert mixture.without("tasks") == "tasks: false"
    assert mixture.without("segments") is None


def test_label_heads_of_a_mixture_are_those_of_its_objectives() -> None:
    """Of one name there may be several, with the same labels."""
    parts = [{"name": "sentence-reordering"}, "mlm", {"name": "sentence-reordering"}, "capitalisation"]
    mixture = table.read({"name": "mixture", "of": [{"objective": part} for part in parts]})
    assert mixture.label_heads() == {"sentence-reordering": 9, "capitalisation": 2}
    parts[2] = {"name": "sentence-reordering", "segments": 2}
    mixture = table.read({"name": "mixture", "of": [{"objective": part} for part in parts]})
    with pytest.raises(ValueError, match="have 9 and 3 labels"):
        mixture.label_heads()

"""The table's row of a mixture."""

from __future__ import annotations

import pytest

from kepipe.objectives import table


@pytest.mark.parametrize(
    ("names", "masks_units", "formats", "special"),
    [
        (("mlm", "span-masking"), True, (), 0),
        (("mlm", "capitalisation"), True, (), 0),
        (("mlm", "dlm"), True, ("dialogue",), 0),
        (("mlm", "unilm"), False, (), 0),
        (("capitalisation", "token-document"), False, (), 0),
        (("mass", "denoising"), False, (), 2),
    ],
)
def test_row_of_a_mixture_is_that_of_its_objectives(
    names: tuple[str, ...], masks_units: bool, formats: tuple[str, ...], special: int
) -> None:
    """It masks units if one of them does, and each of the others has rows of its own."""
    mixture = table.read({"name": "mixture", "of": [{"objective": name} for name in names]})
    row = table.row_of(mixture)
    assert (row.masks_units, row.formats, row.num_special_tokens) == (masks_units, formats, special)
    assert row.rows is None
    first = table.TABLE[names[0]]
    assert row.held_out_objective == (first.held_out_objective or table.read(names[0]))


def test_rows_begin_with_the_first_special_token_but_for_these_objectives() -> None:
    """Those that read left to right, and T5's."""
    names = [name for name in table.TABLE if name not in ("text-pairs", "entity-descriptions")]
    without = {name for name in names if not table.row_of(table.read(name)).begin}
    assert without == {"causal-lm", "prefix-lm", "permutation-lm", "span-corruption"}

"""Settings of a row of a table, told by its name: `objective: mlm`, `knowledge: {method: k-bert}`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kepipe.config.errors import suggest


def named_section(key: str, kind: str, known: Collection[str]) -> Callable[[Any], Any]:
    """A validator that goes before the sections of a table: a name alone becomes `{key: name}`, and one that is not
    `known` is a mistake. `kind`: what the rows are, for messages."""

    def spell_out(value: Any) -> Any:
        spelt = {key: value} if isinstance(value, str) else value
        if isinstance(spelt, Mapping) and spelt.get(key) not in known:
            name = spelt.get(key)
            problem = f"expected `{key}`" if name is None else f"unknown {kind} {name!r}"
            raise ValueError(f"{problem}{suggest(str(name), list(known))}")
        return spelt

    return spell_out

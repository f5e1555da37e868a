"""The table of choices: which triples of an entity are injected. A new one is a function and a row.

Importing the table imports no ranking, since every plan and the command line's help need the names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from kepipe.arrays import Floats
    from kepipe.knowledge.choosing.ranking import ContextScore, RankingSources


@dataclass(frozen=True)
class Choice:
    """A row: what the choice prefers, and functions that return its `static_score` (float [n], all facts) or
    `context_score` (float [C], facts in question)."""

    about: str
    static_score: Callable[[RankingSources], Floats] | None = None
    context_score: Callable[[RankingSources], ContextScore] | None = None
    needs_vectors: bool = False
    """Whether entity vectors are required."""

    @property
    def scored(self) -> bool:
        """Whether triples get a score."""
        return self.static_score is not None or self.context_score is not None


def _rarity(sources: RankingSources) -> Floats:
    from kepipe.knowledge.choosing import ranking

    return ranking.rarity(sources)


def _plausibility(sources: RankingSources) -> Floats:
    from kepipe.knowledge.choosing import ranking

    return ranking.plausibility(sources)


def _pagerank(sources: RankingSources) -> ContextScore:
    from kepipe.knowledge.choosing import walks

    return walks.pagerank(sources)


def _similarity(sources: RankingSources) -> ContextScore:
    from kepipe.knowledge.choosing import shared_words

    return shared_words.similarity(sources)


CHOICES: Mapping[str, Choice] = {
    "graph": Choice("the graph's order"),
    "rarest": Choice("relations and objects that are rare in the graph", static_score=_rarity),
    "plausible": Choice(
        "facts that the entity vectors think likely", static_score=_plausibility, needs_vectors=True
    ),
    "pagerank": Choice("objects near the other entities of the sentence", context_score=_pagerank),
    "similar": Choice("facts that share rare words with the sentence", context_score=_similarity),
}


def list_choices() -> str:
    """The choices and what they prefer, for the schema."""
    return "; ".join(f"`{name}`: {choice.about}" for name, choice in CHOICES.items())


if TYPE_CHECKING:
    ChoiceName = str
else:
    ChoiceName = Literal[tuple(CHOICES)]
    """The name of a choice, as the type of a config's field and of an option."""

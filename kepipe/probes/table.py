"""The table of probes: name in the YAML → the probe, the models it applies to, and how scores are compared and shown.

A new probe is a file and a row here. Rows are in order of priority: the first probe that two arms both answered decides
which arm is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kepipe.probes import entity_cloze, masked_loss, perplexity
from kepipe.probes.graph_quiz import probe as graph_quiz
from kepipe.probes.graph_quiz.presentation import PRESENTATION as QUIZ_PRESENTATION
from kepipe.probes.graph_quiz.presentation import headlines as quiz_headlines
from kepipe.probes.presentation import Presentation, headlines

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability
    from kepipe.probes.base import Answers, Probe
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.studies.scores import Scores


@dataclass(frozen=True)
class ProbeRow:
    """A probe: what it measures, in one sentence, and the functions that build, compare and present it."""

    description: str
    """What it measures, for the docs and the schema."""
    capabilities: tuple[Capability, ...]
    """Capabilities, one of which a model must have."""
    make: Callable[[HeldOutDocuments], Probe]
    """Builds the probe from the held-out documents."""
    presentation: Presentation
    """How a report presents it."""
    headlines: Callable[[str, Presentation, Scores], Iterator[str]] = headlines
    """Lines for the console."""
    by_default: bool = True
    """Whether it is used by default for every suitable model."""
    same_tokens_only: bool = False
    """Whether scores of models with different tokens are not comparable."""
    match: Callable[[Any, Any, Answers, Answers], tuple[Probe, Answers, Answers] | None] | None = None
    """(probe, the same probe with other tokens, the answers to each) → a probe with the common cases and both models'
    answers to them, or None if there are none. None: cases with other tokens cannot be matched."""
    baseline_answers: Callable[[Any], Mapping[str, Answers]] | None = None
    """Probe → name of a baseline → its answers to the same cases, for each arm's paired differences from it. None:
    baselines have scores only."""
    files: Mapping[str, Callable[[Any, Mapping[str, Answers]], Iterable[Mapping[str, Any]]]] = field(
        default_factory=dict
    )
    """Files of JSON lines written next to the scores: name → the lines, from the probe and the arms' answers."""
    more_figures: tuple[str, ...] = ()
    """Additional metrics that the report does not show."""

    @property
    def figures(self) -> tuple[str, ...]:
        """The names of its metrics, including those of groups; `*` matches names that depend on the data."""
        groups = self.presentation.groups
        main = dict.fromkeys((*self.presentation.metrics, *self.more_figures))
        return (*main, *(f"{groups.prefix}/*/{name}" for name in main if groups is not None), "mentions_*")

    @property
    def asks(self) -> str:
        """The capabilities in words: `masked-lm or language-model`."""
        return " or ".join(self.capabilities)


PROBES: Mapping[str, ProbeRow] = {
    "graph-quiz": ProbeRow(
        "choice of a fact's object among objects of its relation",
        ("masked-lm", "language-model"),
        graph_quiz.make,
        QUIZ_PRESENTATION,
        quiz_headlines,
        by_default=False,
        files={graph_quiz.FILE: graph_quiz.records},
        more_figures=tuple(f"mrr_{group}" for group in graph_quiz.GROUPS),
    ),
    "entity-cloze": ProbeRow(
        "rank of a blanked mention's entity among those of its type",
        ("masked-lm",),
        entity_cloze.make,
        entity_cloze.PRESENTATION,
        entity_cloze.headlines,
        match=entity_cloze.match,
        files={entity_cloze.FILE: entity_cloze.records},
    ),
    "perplexity": ProbeRow(
        "language modelling of held-out text",
        ("language-model",),
        perplexity.make,
        perplexity.PRESENTATION,
        perplexity.headlines,
    ),
    "mlm-loss": ProbeRow(
        "loss at blanked tokens, phrases and mentions",
        ("masked-lm",),
        masked_loss.make,
        masked_loss.PRESENTATION,
        same_tokens_only=True,
        baseline_answers=lambda probe: probe.baseline_answers,
    ),
}


def score_name(probe: str) -> str:
    """The name of a probe in `scores.json` and in metrics: `entity-cloze` → `entity_cloze`."""
    return probe.replace("-", "_")


def rows() -> Iterator[tuple[str, ProbeRow]]:
    """The rows with their names in the scores."""
    return ((score_name(probe), row) for probe, row in PROBES.items())


def list_probes() -> str:
    """The probes with what they measure, for the schema."""
    return "; ".join(f"`{name}`: {row.description}" for name, row in PROBES.items())


def probes_on_request() -> str:
    """The probes that are only used if `probes` names them, for the schema."""
    return " and ".join(f"`{name}`" for name, row in PROBES.items() if not row.by_default)


if TYPE_CHECKING:
    ProbeName = str
else:
    ProbeName = Literal[tuple(PROBES)]
    """The name of a probe, as the type of a config's field."""

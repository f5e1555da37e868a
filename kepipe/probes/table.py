"""The table of probes: a name in the YAML → what it asks, of which models, and how its scores are compared and shown.

A new probe is a file and a row here. Rows stand in order of what they decide: the first that two arms answered says
which is better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from kepipe.probes import entity_cloze, masked_loss, perplexity
from kepipe.probes.graph_quiz import probe as graph_quiz
from kepipe.probes.graph_quiz.presentation import PRESENTATION as GRAPH_QUIZ
from kepipe.probes.presentation import Presentation, headlines

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability
    from kepipe.probes.base import Answers, Probe
    from kepipe.probes.held_out import HeldOutDocuments
    from kepipe.studies.scores import Scores


@dataclass(frozen=True)
class ProbeRow:
    """A probe: what it measures in one sentence, and everything that is done with it."""

    description: str
    """What it measures, as docs and schema say it."""
    capabilities: tuple[Capability, ...]
    """What a model must be able to do to answer it: one of these."""
    make: Callable[[HeldOutDocuments], Probe]
    """Draws the cases."""
    presentation: Presentation
    """How a report shows it."""
    headlines: Callable[[str, Presentation, Scores], Iterator[str]] = headlines
    """What the console says of it."""
    by_default: bool = True
    """Whether it is put to every model that can answer it where nobody says which are."""
    same_tokens_only: bool = False
    """Whether scores of models with other tokens do not compare."""
    files: Mapping[str, Callable[[Any, Mapping[str, Answers]], Iterable[Mapping[str, Any]]]] = field(
        default_factory=dict
    )
    """Files of JSON lines that are written beside the scores: name → the lines, from the probe and arms' answers."""

    @property
    def reads_text_alone(self) -> bool:
        """Whether knowledge cannot go with its text: a `LanguageModel` is given tokens and nothing else."""
        return "masked-lm" not in self.capabilities

    @property
    def asks(self) -> str:
        """The capabilities in words: `masked-lm or language-model`."""
        return " or ".join(self.capabilities)


PROBES: Mapping[str, ProbeRow] = {
    "graph-quiz": ProbeRow(
        "choose the object of a fact of the graph among those of its relation",
        ("masked-lm", "language-model"),
        graph_quiz.make,
        GRAPH_QUIZ,
        by_default=False,
        files={graph_quiz.FILE: graph_quiz.records},
    ),
    "entity-cloze": ProbeRow(
        "rank of a blanked mention's entity among those of its type",
        ("masked-lm",),
        entity_cloze.make,
        entity_cloze.PRESENTATION,
        entity_cloze.headlines,
        files={entity_cloze.FILE: entity_cloze.records},
    ),
    "perplexity": ProbeRow(
        "how well held-out text is gone on with",
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
    ),
}


def score_name(probe: str) -> str:
    """The name of a probe in `scores.json` and in metrics: `entity-cloze` → `entity_cloze`."""
    return probe.replace("-", "_")


def rows() -> Iterator[tuple[str, ProbeRow]]:
    """The rows by the names that they have in the scores."""
    return ((score_name(probe), row) for probe, row in PROBES.items())


def described() -> str:
    """The probes with what they measure, for the schema."""
    return "; ".join(f"`{name}`: {row.description}" for name, row in PROBES.items())


def on_request() -> str:
    """The probes that are put to a model only where `probes` names them, for the schema."""
    return " and ".join(f"`{name}`" for name, row in PROBES.items() if not row.by_default)


if TYPE_CHECKING:
    ProbeName = str
else:
    ProbeName = Literal[tuple(PROBES)]
    """The name of a probe, as the type of a config's field."""

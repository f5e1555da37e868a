"""Options that the commands of `kepipe link` share: which linker, how texts are read, what is linked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from kepipe.linking.decision.policy import Policy
    from kepipe.linking.text.annotations import Annotator

LinkerOption = Annotated[
    Path,
    typer.Option(
        "--linker",
        "-l",
        help="A linker (from `link train`, or `linker/` of a stage `link`), or a stored graph (general weights).",
    ),
]
IdsOption = Annotated[
    str | None,
    typer.Option(
        help="The gold set's ids, where not the graph's: `entities.jsonl:qid`, or a TSV other TAB own."
    ),
]
LanguageOption = Annotated[Literal["en", "zh"], typer.Option(help="The texts' language.")]
ThresholdOption = Annotated[
    float | None, typer.Option(min=0, max=1, help="Score threshold. Default: the linker's own.")
]

MarksOption = Annotated[
    Literal["names", "wiki", "everything"] | None,
    typer.Option(
        help="What counts as a mention: names, and terms where the graph is one of terms; as Wikipedia is marked "
        "(roles, pronouns, places with what they lie in); everything that the graph has. Else as learned."
    ),
]


@dataclass(frozen=True)
class English:
    """What reads English texts."""

    spacy_model: Annotated[
        str, typer.Option("--spacy-model", help="English: the spaCy pipeline that annotates.")
    ] = "en_core_web_sm"
    rules: Annotated[
        bool, typer.Option("--rules", help="Annotate by rules: no tagger, parser or NER; fast.")
    ] = False
    ner: Annotated[bool, typer.Option(help="Run named-entity recognition.")] = True

    def annotator(self, language: str = "en") -> Annotator:
        """The annotator of texts in `language`; Chinese has one of its own."""
        from kepipe.linking.text.annotators import make_annotator

        return make_annotator(language, None if self.rules else self.spacy_model, self.ner)

    def finds_persons(self, language: str = "en") -> bool:
        """Whether NER runs, which says who is named before a pronoun."""
        return language == "en" and self.ner and not self.rules


@dataclass(frozen=True)
class Asked:
    """What is linked, and how surely."""

    threshold: ThresholdOption = None
    gate: Annotated[
        bool,
        typer.Option("--gate", help="Link only what NER marks as a name: higher precision, lower recall."),
    ] = False
    fuzzy: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=100,
            help="Also link near matches of names, from this similarity (0-100) on, such as 90.",
        ),
    ] = None
    marks: MarksOption = None
    pronouns: Annotated[
        bool | None,
        typer.Option(
            "--pronouns/--no-pronouns",
            help="English, where NER runs: he and she mean who was named before; else as the linker learned.",
        ),
    ] = None
    join: Annotated[
        bool | None,
        typer.Option(
            "--join/--no-join",
            help='A place and what it lies in, "Lille, France", are one name; else as the linker learned.',
        ),
    ] = None

    def policy(self, finds_persons: bool) -> Policy:
        """The same for the linker. Raises typer.BadParameter where pronouns are asked for and no person is found."""
        from kepipe.linking.decision.marks import MARKS_BY_NAME
        from kepipe.linking.decision.policy import Policy

        require_persons(self.pronouns, finds_persons)
        marks = None if self.marks is None else MARKS_BY_NAME[self.marks]
        return Policy(self.threshold, self.gate, self.fuzzy, self.pronouns, self.join, marks)


ENGLISH, AS_LEARNED = English(), Asked()


def require_persons(pronouns: bool | None, finds_persons: bool) -> None:
    """Raise typer.BadParameter where pronouns are asked for and nothing would find the persons they mean."""
    if pronouns and not finds_persons:
        raise typer.BadParameter(
            "needs English and NER, which finds persons: leave out --rules, --no-ner and --language zh",
            param_hint="--pronouns",
        )

"""Common options of the commands of `kepipe link`: linker, annotation, linking policy."""

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
        help="Mapping of the gold set's ids, if not the graph's: `entities.jsonl:qid`, or a TSV of gold and graph ids."
    ),
]
LanguageOption = Annotated[Literal["en", "zh"], typer.Option(help="The texts' language.")]
ThresholdOption = Annotated[
    float | None, typer.Option(min=0, max=1, help="Score threshold. Default: the linker's own.")
]

MarksOption = Annotated[
    Literal["names", "wiki", "everything"] | None,
    typer.Option(
        help="What counts as a mention. names: names, and terms if it is a graph of terms; wiki: as in Wikipedia, with "
        "roles, pronouns, and places including their region; everything: any label of the graph. Default: as learned."
    ),
]


@dataclass(frozen=True)
class English:
    """Annotation of English texts."""

    spacy_model: Annotated[
        str, typer.Option("--spacy-model", help="English: the spaCy pipeline that annotates.")
    ] = "en_core_web_sm"
    rules: Annotated[
        bool, typer.Option("--rules", help="Annotate by rules: no tagger, parser or NER; fast.")
    ] = False
    ner: Annotated[bool, typer.Option(help="Run named-entity recognition.")] = True

    def annotator(self, language: str = "en") -> Annotator:
        """The annotator for a language; Chinese has its own."""
        from kepipe.linking.text.annotators import make_annotator

        return make_annotator(language, None if self.rules else self.spacy_model, self.ner)

    def finds_persons(self, language: str = "en") -> bool:
        """Whether NER runs, which pronoun linking needs."""
        return language == "en" and self.ner and not self.rules


@dataclass(frozen=True)
class LinkingOptions:
    """The linking policy."""

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
            help="English with NER: link he and she to the person named before. Default: as learned.",
        ),
    ] = None
    join: Annotated[
        bool | None,
        typer.Option(
            "--join/--no-join",
            help='Link a place with its region, "Lille, France", as one mention. Default: as learned.',
        ),
    ] = None

    def policy(self, finds_persons: bool) -> Policy:
        """The options as a `Policy`. Raises typer.BadParameter if pronouns are to be linked without NER."""
        from kepipe.linking.decision.marks import MARKS_BY_NAME
        from kepipe.linking.decision.policy import Policy

        require_persons(self.pronouns, finds_persons)
        marks = None if self.marks is None else MARKS_BY_NAME[self.marks]
        return Policy(self.threshold, self.gate, self.fuzzy, self.pronouns, self.join, marks)


ENGLISH, AS_LEARNED = English(), LinkingOptions()


def require_persons(pronouns: bool | None, finds_persons: bool) -> None:
    """Raise typer.BadParameter if pronouns are to be linked without NER."""
    if pronouns and not finds_persons:
        raise typer.BadParameter(
            "needs English and NER, which finds persons: remove --rules, --no-ner and --language zh",
            param_hint="--pronouns",
        )

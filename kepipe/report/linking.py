"""Pages about linking: scores and errors of a linker, and a diagnosis of what it misses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kepipe.linking.evaluation.assess import Assessment, Decision, ambiguity, breakdown
from kepipe.linking.evaluation.diagnosis import Diagnosis
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.text.spans import surrounding_text
from kepipe.report.markup import Markup, fill
from kepipe.report.page import Fact, Page, Quotes, Section, Table, Text

AROUND = 90
"""Characters of context on either side of a mistake."""


def score_page(
    sets: Mapping[str, Mapping[str, Assessment]],
    texts: Mapping[str, Sequence[GoldText]],
    labels: Sequence[str],
    name_kind: Callable[[str], str] = str,
) -> Page:
    """For each gold set, the scores of linker and baselines, scores by kind and ambiguity, and all mistakes.

    `name_kind`: annotated type of an entity → its name.
    """
    facts = tuple(
        Fact(name, f"{_first(assessments).in_graph.f1:.3f}", _beside(assessments))
        for name, assessments in sets.items()
    )
    best = ", ".join(f"{fact.value} on {fact.label}" for fact in facts)
    sections = tuple(
        section
        for number, (name, assessments) in enumerate(sets.items(), start=1)
        for section in _sections(f"set-{number}", name, assessments, texts[name], labels, name_kind)
    )
    return Page(
        title="Linking",
        kicker="Entity linking",
        headline=f"F1 {best}",
        lead="A link is right if its span and its entity are those of the annotation. F1 is computed over names that "
        "are in the graph.",
        facts=facts,
        sections=sections,
    )


def _beside(assessments: Mapping[str, Assessment]) -> str:
    """The F1 of the best baseline."""
    others = [(each.in_graph.f1, who) for who, each in list(assessments.items())[1:]]
    return "F1; {1}: {0:.3f}".format(*max(others)) if others else "F1"


def _first(assessments: Mapping[str, Assessment]) -> Assessment:
    return next(iter(assessments.values()))


def _sections(
    anchor: str,
    name: str,
    assessments: Mapping[str, Assessment],
    texts: Sequence[GoldText],
    labels: Sequence[str],
    name_kind: Callable[[str], str],
) -> list[Section]:
    ours = _first(assessments)
    domains = breakdown(ours, lambda decision: decision.domain or "not stated")
    rows = tuple(
        (
            who,
            *(
                f"{figure:.3f}"
                for figure in (
                    each.in_graph.precision, each.in_graph.recall, each.in_graph.f1, each.in_graph.macro_f1,
                    each.overall.f1, each.outside.f1,
                )
            ),
        )
        for who, each in assessments.items()
    )  # fmt: skip
    head = ("", "precision", "recall", "F1", "macro F1", "overall F1", "NIL F1")
    summary = Text(
        f"{ours.in_graph.given:,} annotated names in the graph, {ours.outside.given:,} outside; the right entity is "
        f"among the candidates of {ours.candidate_recall:.1%}. Precision, recall and F1 are of names in the graph; "
        "macro: the mean over texts; NIL: names outside, right if nothing is linked; overall: both.",
        quiet=True,
    )
    return [
        Section(
            anchor,
            name,
            (
                Table(head, rows, numbers=tuple(range(1, 7))),
                summary,
                _by("kind of entity", breakdown(ours, lambda decision: _in_words(name_kind(decision.kind)))),
                _by("candidates of the name", breakdown(ours, lambda decision: ambiguity(decision.choices))),
                _by("case of the name", breakdown(ours, lambda decision: decision.written)),
                _by("whether the graph has the name", breakdown(ours, lambda decision: decision.known)),
                *([_by("domain", domains)] if domains.keys() - {"not stated"} else []),
            ),
        ),
        Section(
            f"{anchor}-mistakes",
            f"{name}: mistakes",
            (_count_mistakes(ours), _mistakes(ours, texts, labels)) if ours.mistakes() else (Text("None."),),
        ),
    ]


_CLASSES = {
    "Q27096213": "place", "Q43229": "organisation", "Q215627": "person", "Q12737077": "occupation",
    "Q4164871": "position", "Q618779": "award", "Q2424752": "product", "Q17537576": "creative work",
    "Q11862829": "academic discipline", "Q33829": "human population", "Q21070598": "character in a story",
    "Q1190554": "event", "Q431289": "brand", "Q34770": "language", "Q16521": "taxon",
}  # fmt: skip
"""Wikidata classes used as entity types in ELEVANT's gold sets; few graphs contain them."""


def _in_words(kind: str) -> str:
    """A kind, or several separated by commas; Wikidata classes that the graph cannot name are translated."""
    return ", ".join(_CLASSES.get(part, part) for part in kind.split(", ")) or "none"


_MISTAKES = {
    "left out": "an annotated name with the right entity among its candidates, but not linked to it",
    "no candidate": "an annotated name that is not a name of the entity in the graph",
    "wrong boundary": "a link that covers a part of an annotated name, or more",
    "wrong entity": "a link of an annotated name to another entity",
    "not in the graph": "a link of an annotated name whose entity is not in the graph",
    "not marked": "a link without an annotated name",
}


def _count_mistakes(assessment: Assessment) -> Table:
    rows = tuple((kind, f"{count:,}", _MISTAKES[kind]) for kind, count in assessment.mistakes().most_common())
    return Table(("mistake", "times", "which is"), rows, numbers=(1,))


def _by(what: str, groups: Mapping[str, Mapping[str, float]]) -> Table:
    rows = tuple(
        (name, f"{row['given']:,.0f}", f"{row['right']:,.0f}", f"{row['recall']:.3f}")
        for name, row in list(groups.items())[:15]
    )
    return Table((what, "annotated", "right", "recall"), rows, numbers=(1, 2, 3))


def _mistakes(assessment: Assessment, texts: Sequence[GoldText], labels: Sequence[str]) -> Quotes:
    wrong = sorted(
        (decision for decision in assessment.decisions if decision.mistake is not None),
        key=lambda decision: (decision.mistake or "", decision.text, decision.start),
    )
    return Quotes(tuple(_quote(decision, texts[decision.text], labels) for decision in wrong))


def _quote(decision: Decision, text: GoldText, labels: Sequence[str]) -> tuple[str, Markup, str]:
    raw = text.document.text
    before, after = surrounding_text(raw, decision.start, decision.end, AROUND)
    passage = fill("{}<mark>{}</mark>{}", before, raw[decision.start : decision.end], after)
    linked = f"linked to {labels[decision.predicted]}" if decision.predicted >= 0 else "not linked"
    marked = (
        f"annotated as {labels[decision.given]}"
        if decision.given >= 0
        else "not in the graph, or not annotated"
    )
    return f"{decision.mistake} · {text.document.id}", passage, f"{linked}; {marked}"


def diagnosis_page(diagnosis: Diagnosis) -> Page:
    """What a linker misses, and possible remedies."""
    share = diagnosis.linked / diagnosis.spans if diagnosis.spans else 0.0
    return Page(
        title="Linking",
        kicker="Diagnosis of a linker",
        headline=f"{diagnosis.linked:,} of {diagnosis.spans:,} names in the text are linked ({share:.0%})",
        lead="Names are named entities of NER, or otherwise capitalised words; a name is linked if a link covers it "
        "exactly.",
        facts=(
            Fact("documents", f"{diagnosis.documents:,}", f"{diagnosis.words:,} words"),
            Fact("names linked", f"{share:.0%}", f"{diagnosis.linked:,} of {diagnosis.spans:,}"),
            Fact("links in all", f"{diagnosis.mentions:,}", f"to {diagnosis.entities:,} entities"),
            Fact("links per hundred words", f"{100 * diagnosis.mentions / max(diagnosis.words, 1):.1f}"),
        ),
        sections=(
            Section("why", "Why names are not linked", (_why(diagnosis),)),
            Section("unlinked", "Names that are not linked", (_unlinked(diagnosis),)),
            Section("contested", "Contested names", (_contested(diagnosis),)),
            Section("suggestions", "Aliases worth adding", (_suggestions(diagnosis),)),
        ),
    )


_REASONS = {
    "no alias": (
        "the graph has no such name",
        "add it as an alias of its entity in `entities.jsonl`, if the graph has the entity",
    ),
    "case": ("the graph has it in another case", "add the spelling of the texts as an alias"),
    "boundary": (
        "a link covers only a part of it, or more",
        "add the whole name as an alias, if it is a single name",
    ),
    "below the threshold": (
        "its best candidate has a low score",
        "train on texts with links, or lower `--threshold`",
    ),
    "not marked": ("this kind of name is not marked", "choose `--marks wiki` or `--marks everything`"),
    "no name to NER": ("NER does not find it, and `--gate` is on", "leave out `--gate`"),
    "overlap": ("an overlapping name was preferred", "usually nothing: the longer name is more specific"),
}
"""Reason → its meaning, and the remedy."""


def _why(diagnosis: Diagnosis) -> Table | Text:
    rows = tuple((reason, f"{count:,}", *_REASONS[reason]) for reason, count in diagnosis.reasons.items())
    return _table(("why", "times", "which means", "what helps"), rows, "All are linked.", (1,))


def _unlinked(diagnosis: Diagnosis) -> Table | Text:
    rows = ((each.surface, f"{each.count:,}", each.reason, each.example) for each in diagnosis.unlinked)
    return _table(("name", "times", "why", "for example"), tuple(rows), "None.", (1,))


def _contested(diagnosis: Diagnosis) -> Table | Text:
    rows = (
        (
            each.surface,
            f"{each.count:,}",
            each.first,
            f"{each.scores[0]:.2f}",
            each.second,
            f"{each.scores[1]:.2f}",
        )
        for each in diagnosis.contested
    )
    head = ("name", "times", "linked to", "score", "rather than", "score")
    return _table(head, tuple(rows), "No linked name had a second candidate.", (1, 3, 5))


def _suggestions(diagnosis: Diagnosis) -> Table | Text:
    rows = (
        (each.surface, f"{each.count:,}", f"{each.label} [{each.entity}]", each.name, f"{each.likeness:.0f}")
        for each in diagnosis.suggestions
    )
    head = ("alias", "times", "of the entity", "known as", "similarity, of 100")
    return _table(head, tuple(rows), "No unknown name is similar to a known one.", (1, 4))


def _table(
    head: tuple[str, ...], rows: tuple[tuple[str, ...], ...], none: str, numbers: tuple[int, ...]
) -> Table | Text:
    """The table, or a sentence if there are no rows."""
    return Table(head, rows, numbers=numbers) if rows else Text(none)

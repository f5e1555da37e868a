"""`kepipe link`: link texts, explain decisions, train, score and diagnose linkers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from kepipe.cli import tables
from kepipe.cli.link_files import (
    by_name,
    in_sections,
    open_linker,
    read_gold_sets,
    read_texts,
    require_writable,
    show_problems,
    writing,
)
from kepipe.cli.link_options import (
    AS_LEARNED,
    ENGLISH,
    English,
    IdsOption,
    LanguageOption,
    LinkerOption,
    LinkingOptions,
    MarksOption,
    require_persons,
)
from kepipe.cli.options import with_groups
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.linking.evaluation.assess import Assessment, Predict
    from kepipe.linking.evaluation.goldset import GoldText
    from kepipe.linking.linker import Linker


class TextsByDefault(TyperGroup):
    """`kepipe link FILE` and `kepipe link --explain …` mean `kepipe link texts …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["texts", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Help of the commands, and the options of the default command `texts`."""
        super().format_help(ctx, formatter)
        texts = self.commands["texts"]
        texts.format_help(texts.context_class(texts, info_name="texts", parent=ctx), formatter)


app = typer.Typer(
    cls=TextsByDefault,
    help="Link texts to a graph (`kepipe link FILE`); train, score and diagnose linkers.",
    no_args_is_help=True,
)


@app.command()
@with_groups
def texts(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Texts: .txt, .jsonl, .parquet, .tsv, or folders of them.")
    ] = None,
    linker: LinkerOption = Path("linker"),
    explain: Annotated[str | None, typer.Option(help="Show how this text is linked, and why.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON Lines file to write. Default: standard output.")
    ] = None,
    language: LanguageOption = "en",
    english: English = ENGLISH,
    linking_options: LinkingOptions = AS_LEARNED,
) -> None:
    """Link files and write documents as JSON lines; with --explain, show the reasons for the links in a text."""
    from kepipe.api.linking import link_documents
    from kepipe.data.document_files import to_line
    from kg.problems import Problems

    if (explain is None) == (not files):
        raise ValueError("kepipe link: give files to link, or --explain TEXT")
    policy = linking_options.policy(english.finds_persons(language))
    require_writable(out)
    opened, annotator = open_linker(linker, files or ()), english.annotator(language)
    if explain is not None:
        from kepipe.linking.evaluation.explain import explain as decisions

        tables.show_decisions(
            decisions(opened, explain, next(iter(annotator.annotate([explain]))), policy=policy),
            opened,
            policy.threshold,
        )
        return
    problems = Problems()
    linked = link_documents(in_sections(read_texts(files or [], problems)), opened, annotator, policy)
    count = mentions = 0
    with writing(out) as stream:
        for document in linked:
            stream.write(to_line(document))
            count += 1
            mentions += len(document.mentions)
    show_problems(problems)
    echo(f"{out or 'standard output'}: {count:,} documents, {mentions:,} mentions", err=True)


@app.command()
@with_groups
def train(
    graph: Annotated[Path, typer.Argument(help="A stored graph.")],
    gold: Annotated[list[Path], typer.Option(help="Gold sets, JSONL; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the linker.")],
    without: Annotated[
        list[Path] | None,
        typer.Option(help="Test sets whose texts are excluded from training. May be repeated."),
    ] = None,
    ids: IdsOption = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="Unlabelled text like the text to link, to learn which words are common."),
    ] = None,
    english: English = ENGLISH,
    marks: MarksOption = None,
    pronouns: Annotated[
        bool | None,
        typer.Option(
            "--pronouns/--no-pronouns",
            help="Link he and she too. Default: if the gold sets mark most of them.",
        ),
    ] = None,
) -> None:
    """Build a linker over a graph and train it on gold sets in which every mention is marked."""
    from dataclasses import replace

    from kepipe.device import resolve
    from kepipe.linking.decision.marks import MARKS_BY_NAME
    from kepipe.linking.evaluation.goldset import EntityIds, marks_pronouns, require_known
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.casing import Casing
    from kepipe.linking.training.learn import learn
    from kepipe.linking.training.training_data import training_data
    from kg.problems import Problems
    from kg.store import open_graph

    persons = english.finds_persons()
    require_persons(pronouns, persons)
    if out.is_file():
        raise ValueError(f"{out}: is a file; choose a folder for the linker")
    store = open_graph(graph)
    known = EntityIds.read(store.ids, ids or str(graph))
    held = {text.document.text for text in read_gold_sets(without or [], known)}
    once: dict[tuple[str, int, int], GoldText] = {}
    for text in read_gold_sets(
        gold, known
    ):  # a duplicate would leak into training when the other copy is held out
        once.setdefault((text.document.text, text.begin, text.end), text)
    training_texts = [text for text in once.values() if text.document.text not in held]
    names = ", ".join(map(str, gold))
    require_known(training_texts, f"{names} without the texts of --without" if held else names)
    problems = Problems()
    seen = [text.document.text for text in training_texts]
    more = (document.text for document in read_texts(texts or [], problems))
    linker = Linker.build(store, Casing.count([*seen, *more]))
    annotations = list(english.annotator().annotate(seen))
    training_set = training_data(
        linker, training_texts, annotations, None if marks is None else MARKS_BY_NAME[marks]
    )
    examples = training_set.examples
    learned = learn(examples, len(linker.knowledge.type_names), complete=True, device=resolve("auto"))
    show_problems(problems)
    if learned is None:
        raise ValueError(f"{names}: too few links to entities of the graph to train on")
    marked = persons and marks_pronouns(training_texts) if pronouns is None else pronouns
    manner = replace(training_set.marks, pronouns=marked)
    linker.with_ranker(learned.ranker, manner).save(out)
    scores = learned.validation
    echo(
        f"{out}: trained on {len(examples)} texts, {scores.given} links; threshold {learned.ranker.threshold}; "
        f"cross-validation: precision {scores.precision:.3f}, recall {scores.recall:.3f}, F1 {scores.f1:.3f}; "
        f"pronouns: {'linked' if marked else 'not linked'}; "
        f"a place with its region: {'one mention' if manner.joined else 'two mentions'}"
        f"{' (scored by the place alone)' if manner.joined else ''}; "
        f"other kinds of mentions: {', '.join(manner.kinds()) or 'none'}"
    )


@app.command()
def dense(
    graph: Annotated[Path, typer.Argument(help="A stored graph.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the linker.")],
    linker: Annotated[
        Path | None,
        typer.Option("--linker", "-l", help="The linker to extend. Default: general weights over the graph."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="The encoder whose token embeddings are used: minilm, a model folder, a hub id."),
    ] = "minilm",
    steps: Annotated[
        int, typer.Option(min=0, help="Training steps on the graph's names and descriptions. 0: no training.")
    ] = 1000,
    language: LanguageOption = "en",
) -> None:
    """Add a dense view to a linker: vectors of tokens that find terms in other words, and compare candidates."""
    from dataclasses import replace

    from kepipe.inference.dense_view import build_dense_view
    from kepipe.models.pretrained import locate
    from kg.store import open_graph

    if out.is_file():
        raise ValueError(f"{out}: is a file; choose a folder for the linker")
    opened, store = open_linker(linker or graph), open_graph(graph)
    if list(opened.knowledge.ids) != list(store.ids):
        raise ValueError(f"{linker}: a linker of another graph than {graph}")
    accuracies: list[float] = []
    view = build_dense_view(
        opened, store, locate(model), steps, language, on_step=lambda _, __, right: accuracies.append(right)
    )
    replace(opened, dense=view).save(out)
    last = accuracies[-100:]
    trained = (
        f"trained in {steps:,} steps; the right name or description was the nearest one for "
        f"{sum(last) / len(last):.0%} of the pairs of the last {len(last)} steps"
        if last
        else "not trained"
    )
    echo(f"{out}: vectors of {len(view.names):,} names, from the tokens of {model}, {trained}")


@app.command()
@with_groups
def score(
    gold: Annotated[list[Path], typer.Argument(help="Gold sets, JSONL.")],
    linker: LinkerOption = Path("linker"),
    links: Annotated[
        Path | None,
        typer.Option(
            help="Score the links of these documents, made by `kepipe link` or `kepipe predict`; --linker is then of "
            "the same graph."
        ),
    ] = None,
    ids: IdsOption = None,
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page with every error.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Also write the scores as JSON.")] = None,
    language: LanguageOption = "en",
    english: English = ENGLISH,
    linking_options: LinkingOptions = AS_LEARNED,
) -> None:
    """Score a linker on gold sets, with two baselines: exact names by prior, and NER with exact names by degree."""
    import json

    from kepipe.data.document_files import read_documents
    from kepipe.linking.evaluation.assess import by_documents, by_linker, by_ner, by_prior, summary
    from kepipe.linking.evaluation.goldset import EntityIds, require_known
    from kepipe.report.linking import score_page
    from kepipe.report.page import render

    policy = linking_options.policy(english.finds_persons(language))
    require_writable(html, json_out)
    opened, annotator = open_linker(linker), english.annotator(language)
    stored = str(linker) if (linker / "graph.json").is_file() else None
    known = EntityIds.read(opened.knowledge.ids, ids or stored)
    sets: dict[str, dict[str, Assessment]] = {}
    read: dict[str, list[GoldText]] = {}
    for name, file in by_name(gold).items():
        read[name] = read_gold_sets([file], known)
        require_known(read[name], str(file))
    for name, marked in read.items():
        annotations = list(annotator.annotate([text.document.text for text in marked]))
        contestants: dict[str, Predict] = {
            "linker" if links is None else "links": (
                by_linker(opened, policy) if links is None else by_documents(read_documents(links), opened)
            ),
            "exact names, likeliest": by_prior(opened.gazetteer),
        }
        if annotations and annotations[0].names is not None:
            contestants["NER, exact names, best connected"] = by_ner(
                opened.gazetteer, opened.degrees.tolist()
            )
        sets[name] = _assess(opened, marked, annotations, contestants)
        tables.show_scores(name, sets[name])
    if json_out is not None:
        summaries = {
            name: {who: summary(each) for who, each in assessments.items()}
            for name, assessments in sets.items()
        }
        json_out.write_text(json.dumps(summaries, indent=1, ensure_ascii=False), encoding="utf-8")
    if html is not None:
        labels = opened.knowledge.labels
        page = score_page(sets, read, labels, lambda kind: known.name_kind(kind, labels))
        html.write_text(render(page), encoding="utf-8")
        echo(f"wrote {html}")


@app.command()
@with_groups
def doctor(
    files: Annotated[
        list[Path], typer.Argument(help="Texts: .txt, .jsonl, .parquet, .tsv, or folders of them.")
    ],
    linker: LinkerOption = Path("linker"),
    html: Annotated[Path | None, typer.Option(help="Also write an HTML page.")] = None,
    shown: Annotated[int, typer.Option(min=1, help="Maximum number of rows per table.")] = 15,
    language: LanguageOption = "en",
    english: English = ENGLISH,
    linking_options: LinkingOptions = AS_LEARNED,
) -> None:
    """Diagnose a linker on texts: unlinked names, ambiguous aliases, suggested aliases."""
    from kepipe.linking.evaluation.diagnosis import diagnose
    from kepipe.report.linking import diagnosis_page
    from kepipe.report.page import render
    from kg.problems import Problems

    policy = linking_options.policy(english.finds_persons(language))
    require_writable(html)
    opened, problems = open_linker(linker, files), Problems()
    documents = list(in_sections(read_texts(files, problems)))
    if not documents:
        raise ValueError(f"{', '.join(map(str, files))}: contains no texts; {problems.summary()}")
    annotations = english.annotator(language).annotate([document.text for document in documents])
    diagnosis = diagnose(opened, zip(documents, annotations, strict=True), shown, policy)
    show_problems(problems)
    page = diagnosis_page(diagnosis)
    tables.show_page(page)
    if html is not None:
        html.write_text(render(page), encoding="utf-8")
        echo(f"wrote {html}")


def _assess(
    linker: Linker, texts: list[GoldText], annotations: list[Any], contestants: dict[str, Predict]
) -> dict[str, Assessment]:
    from kepipe.linking.evaluation.assess import assess

    return {
        who: assess(
            texts,
            annotations,
            predict,
            lambda text, annotation: linker.find(text.document.text, annotation),
        )
        for who, predict in contestants.items()
    }

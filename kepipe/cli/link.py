"""`kepipe link`: link texts, explain decisions, train and score a linker, find out what it misses."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

from kepipe.cli import tables
from kepipe.cli.link_options import (
    AS_LEARNED,
    ENGLISH,
    Asked,
    English,
    IdsOption,
    LanguageOption,
    LinkerOption,
    ThresholdOption,
    require_persons,
)
from kepipe.cli.options import with_groups

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kepipe.linking.decision.policy import Policy
    from kepipe.linking.evaluation.assess import Assessment, Predict
    from kepipe.linking.evaluation.goldset import EntityIds, GoldText
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.annotations import Annotator
    from kg.problems import Problems


class TextsByDefault(TyperGroup):
    """`kepipe link FILE` and `kepipe link --explain …` mean `kepipe link texts …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] != "--help":
            args = ["texts", *args]
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


app = typer.Typer(
    cls=TextsByDefault,
    help="Link texts to a graph (`kepipe link FILE`), explain, train, score, examine.",
    no_args_is_help=True,
)


@app.command()
@with_groups
def texts(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Texts: .txt, .jsonl, .parquet, .tsv, or folders of them.")
    ] = None,
    linker: LinkerOption = Path("linker"),
    explain: Annotated[str | None, typer.Option(help="Show the decisions about this text.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSONL to write; else standard output.")
    ] = None,
    language: LanguageOption = "en",
    english: English = ENGLISH,
    asked: Asked = AS_LEARNED,
) -> None:
    """Link files and write documents as JSON lines; or, with --explain, show why a text is linked as it is."""
    from kepipe.data.document_files import to_line
    from kg.problems import Problems

    if (explain is None) == (not files):
        raise ValueError("kepipe link: give files to link, or --explain TEXT")
    policy = asked.policy(english.finds_persons(language))
    _require_writable(out)
    found, annotator = _linker(linker, files or ()), english.annotator(language)
    if explain is not None:
        from kepipe.linking.evaluation.explain import explain as decisions

        tables.show_decisions(
            decisions(found, explain, next(iter(annotator.annotate([explain]))), policy=policy),
            found,
            policy.threshold,
        )
        return
    problems = Problems()
    linked = _link(_documents(files or [], problems), found, annotator, policy)
    count = mentions = 0
    with _writing(out) as stream:
        for document in linked:
            stream.write(to_line(document))
            count += 1
            mentions += len(document.mentions)
    _complain(problems)
    typer.echo(f"{out or 'standard output'}: {count:,} documents, {mentions:,} mentions", err=True)


@app.command()
@with_groups
def train(
    graph: Annotated[Path, typer.Argument(help="A stored graph.")],
    gold: Annotated[list[Path], typer.Option(help="Gold sets, JSONL; may be repeated.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the linker.")],
    without: Annotated[
        list[Path] | None, typer.Option(help="Sets whose texts must not be learned from: the test sets.")
    ] = None,
    ids: IdsOption = None,
    texts: Annotated[
        list[Path] | None,
        typer.Option(help="Text of the kind to be linked, to learn which words are common."),
    ] = None,
    english: English = ENGLISH,
    pronouns: Annotated[
        bool | None,
        typer.Option(
            "--pronouns/--no-pronouns", help="Link he and she too; else if the gold sets mark most of them."
        ),
    ] = None,
) -> None:
    """Build a linker over a graph and train it on gold sets in which every mention is marked."""
    from dataclasses import replace

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
        raise ValueError(f"{out}: is a file; name a folder for the linker")
    store = open_graph(graph)
    known = EntityIds.read(store.ids, ids)
    held = {text.document.text for text in _gold(without or [], known)}
    once: dict[tuple[str, int, int], GoldText] = {}
    for text in _gold(gold, known):  # one that stands there twice would be learned from where it is left out
        once.setdefault((text.document.text, text.begin, text.end), text)
    learned_from = [text for text in once.values() if text.document.text not in held]
    told = ", ".join(map(str, gold))
    require_known(learned_from, f"{told} without the texts of --without" if held else told)
    problems = Problems()
    seen = [text.document.text for text in learned_from]
    more = (document.text for document in _documents(texts or [], problems))
    linker = Linker.build(store, Casing.count([*seen, *more]))
    annotations = list(english.annotator().annotate(seen))
    examples, joined = training_data(linker, learned_from, annotations)
    learned = learn(examples, len(linker.knowledge.type_names), complete=True)
    _complain(problems)
    if learned is None:
        raise ValueError(f"{told}: too few links to entities of the graph to learn from")
    marked = persons and marks_pronouns(learned_from) if pronouns is None else pronouns
    linker.with_ranker(replace(learned.ranker, pronouns=marked, join=joined)).save(out)
    scores = learned.validation
    typer.echo(
        f"{out}: trained on {len(examples)} texts, {scores.given} links; threshold {learned.ranker.threshold}; "
        f"on texts left out in turn: precision {scores.precision:.3f}, recall {scores.recall:.3f}, F1 {scores.f1:.3f}; "
        f"pronouns: {'linked too' if marked else 'not linked'}; "
        f"a place and what it lies in: {'one name' if joined else 'two names'}"
        f"{', scored above by the name of the place alone' if joined else ''}"
    )


@app.command()
@with_groups
def score(
    gold: Annotated[list[Path], typer.Argument(help="Gold sets, JSONL.")],
    linker: LinkerOption = Path("linker"),
    ids: IdsOption = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with every mistake too.")] = None,
    json_out: Annotated[Path | None, typer.Option("--json", help="Write the scores as JSON too.")] = None,
    language: LanguageOption = "en",
    english: English = ENGLISH,
    asked: Asked = AS_LEARNED,
) -> None:
    """Score a linker on gold sets beside two baselines: exact names by prior, and NER with exact names by degree."""
    import json

    from kepipe.linking.evaluation.assess import by_linker, by_ner, by_prior, summary
    from kepipe.linking.evaluation.goldset import EntityIds, require_known
    from kepipe.report.linking import score_page
    from kepipe.report.page import render

    policy = asked.policy(english.finds_persons(language))
    _require_writable(html, json_out)
    found, annotator = _linker(linker), english.annotator(language)
    known = EntityIds.read(found.knowledge.ids, ids)
    sets: dict[str, dict[str, Assessment]] = {}
    read: dict[str, list[GoldText]] = {}
    for name, file in _by_name(gold).items():
        read[name] = _gold([file], known)
        require_known(read[name], str(file))
    for name, marked in read.items():
        annotations = list(annotator.annotate([text.document.text for text in marked]))
        contestants: dict[str, Predict] = {
            "linker": by_linker(found, policy),
            "exact names, likeliest": by_prior(found.gazetteer),
        }
        if annotations and annotations[0].names is not None:
            contestants["NER, exact names, best connected"] = by_ner(found.gazetteer, found.degrees.tolist())
        sets[name] = _assess(found, marked, annotations, contestants)
        tables.show_scores(name, sets[name])
    if json_out is not None:
        told = {name: {who: summary(each) for who, each in found.items()} for name, found in sets.items()}
        json_out.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    if html is not None:
        labels = found.knowledge.labels
        page = score_page(sets, read, labels, lambda kind: known.name_kind(kind, labels))
        html.write_text(render(page), encoding="utf-8")
        typer.echo(f"{html}: every mistake in its sentence")


@app.command()
@with_groups
def doctor(
    files: Annotated[
        list[Path], typer.Argument(help="Texts: .txt, .jsonl, .parquet, .tsv, or folders of them.")
    ],
    linker: LinkerOption = Path("linker"),
    html: Annotated[Path | None, typer.Option(help="Write it as a page too.")] = None,
    shown: Annotated[int, typer.Option(min=1, help="Rows of each table.")] = 15,
    language: LanguageOption = "en",
    english: English = ENGLISH,
    threshold: ThresholdOption = None,
) -> None:
    """What a linker misses in texts, and why: unlinked names, contested aliases, aliases worth adding."""
    from kepipe.linking.evaluation.diagnosis import diagnose
    from kepipe.report.linking import diagnosis_page
    from kepipe.report.page import render
    from kg.problems import Problems

    _require_writable(html)
    found, problems = _linker(linker, files), Problems()
    documents = list(_documents(files, problems))
    if not documents:
        raise ValueError(f"{', '.join(map(str, files))}: no texts there; {problems.summary()}")
    annotations = english.annotator(language).annotate([document.text for document in documents])
    diagnosis = diagnose(found, zip(documents, annotations, strict=True), shown, threshold)
    _complain(problems)
    page = diagnosis_page(diagnosis)
    tables.show_page(page)
    if html is not None:
        html.write_text(render(page), encoding="utf-8")
        typer.echo(f"{html}: the same as a page")


def _linker(path: Path, files: Iterable[Path] = ()) -> Linker:
    """A linker folder, or an untrained linker over a stored graph, which learns from its descriptions and from `files`
    which words are common. Raises ValueError where `path` holds neither.
    """
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.casing import Casing
    from kg.problems import Problems
    from kg.store import open_graph

    if (path / "linker.json").is_file():
        return Linker.open(path)
    if (path / "graph.json").is_file():
        graph = open_graph(path)
        texts = (document.text for document in _documents(files, Problems()))
        return Linker.build(graph, Casing.count_with(graph.descriptions, texts))
    raise ValueError(
        f"--linker {path}: holds neither a linker nor a stored graph; `kepipe graph import` makes the one, "
        "`kepipe link train` or a pipeline's stage link the other"
    )


def _documents(files: Iterable[Path], problems: Problems) -> Iterator[Document]:
    """The documents of all files. Raises ValueError, before any is read, where one is not there."""
    from itertools import chain

    from kepipe.data.sources.folder import read_folders

    files = list(files)
    for file in files:
        if not file.exists():
            raise ValueError(f"{file}: no such file or folder")
    return chain.from_iterable(read_folders([file], problems) for file in files)


def _gold(files: Iterable[Path], ids: EntityIds) -> list[GoldText]:
    """The texts of gold sets; bad lines are told."""
    from kepipe.linking.evaluation.goldset import read_gold
    from kg.problems import Problems

    problems = Problems()
    texts = [text for file in files for text in read_gold(file, ids, problems)]
    _complain(problems)
    return texts


def _by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Gold sets by their names, those of one name by where they are."""
    from collections import Counter

    files = list(files)
    times = Counter(file.stem for file in files)
    return {file.stem if times[file.stem] == 1 else str(file): file for file in files}


def _link(
    documents: Iterable[Document], linker: Linker, annotator: Annotator, policy: Policy
) -> Iterator[Document]:
    from dataclasses import replace
    from itertools import islice

    documents = iter(documents)
    while batch := list(islice(documents, 256)):
        annotations = list(annotator.annotate([document.text for document in batch]))
        rows = zip((d.text for d in batch), (d.title for d in batch), annotations, strict=True)
        found = linker.link_all(rows, policy)
        for document, annotation, mentions in zip(batch, annotations, found, strict=True):
            yield replace(
                document, sentences=annotation.sentences, phrases=annotation.phrases, mentions=mentions
            )


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


@contextmanager
def _writing(out: Path | None) -> Iterator[TextIO]:
    """Standard output, or a file that appears when it is whole."""
    if out is None:
        yield sys.stdout
        return
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _require_writable(*files: Path | None) -> None:
    """Raise ValueError, before the work is done, where a file to write is a folder, or in none."""
    for file in filter(None, files):
        if file.is_dir():
            raise ValueError(f"{file}: is a folder; name a file in it")
        if not file.parent.is_dir():
            raise ValueError(f"{file}: there is no folder {file.parent}")


def _complain(problems: Problems) -> None:
    if problems:
        typer.echo(problems.summary(), err=True)

"""`kepipe vectors`: query, evaluate, import and export word vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.models.static.format_table import FormatName
from kepipe.models.text_pooling import Pooling
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.models.static.word_vectors import WordVectors

app = typer.Typer(help="Word vectors: nearest words, analogies, files.", no_args_is_help=True)
ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A model folder, `minilm`, a hub id, or a file of vectors (word2vec's formats, GloVe's; `.gz`).",
        show_default=False,
    ),
]
CountOption = Annotated[int, typer.Option("--count", "-n", min=1, help="Words to print.")]


@app.command()
def nearest(
    model: ModelArgument,
    words: Annotated[list[str], typer.Argument(help="Words.", show_default=False)],
    count: CountOption = 10,
) -> None:
    """Print the words with the most similar vectors, and their cosines."""
    vectors = _open(model)
    for word in words:
        echo(word)
        _show(vectors.nearest(word, count))


@app.command()
def analogy(
    model: ModelArgument,
    a: Annotated[str, typer.Argument(help="A.", show_default=False)],
    b: Annotated[str, typer.Argument(help="B.", show_default=False)],
    c: Annotated[str, typer.Argument(help="C.", show_default=False)],
    count: CountOption = 10,
) -> None:
    """Solve an analogy: A is to B as C is to what? `man king woman` should give `queen`."""
    _show(_open(model).analogy(a, b, c, count))


@app.command()
def evaluate(
    models: Annotated[
        list[str], typer.Argument(help="Models or files of vectors to compare.", show_default=False)
    ],
    analogies: Annotated[
        Path | None,
        typer.Option(help="Analogy questions in the format of questions-words.txt. \\[gensim's copy]"),
    ] = None,
    similarity: Annotated[
        Path | None,
        typer.Option(help="Word pairs with a score, tab-separated. \\[gensim's WordSim-353]"),
    ] = None,
) -> None:
    """Evaluate vectors on analogies (accuracy) and on word similarity (Spearman correlation with human scores)."""
    from kepipe.models.static.scores import (
        read_analogies,
        read_pairs,
        score_analogies,
        score_similarity,
    )

    shipped = _shipped()
    sections = read_analogies(analogies or shipped / "questions-words.txt")
    pairs = read_pairs(similarity or shipped / "wordsim353.tsv")
    for model in models:
        vectors = _open(model)
        scores = score_analogies(vectors, sections)
        alike = score_similarity(vectors, pairs)
        asked, right, questions = (
            sum(getattr(score, name) for score in scores.values()) for name in ("asked", "right", "questions")
        )
        echo(f"{model}: {len(vectors.words):,} words, {vectors.vectors.shape[1]} wide")
        echo(f"  analogies: {_share(right, asked)} of {asked:,} right ({questions:,} in all)")
        for name, score in scores.items():
            if score.asked:
                echo(f"    {name}: {_share(score.right, score.asked)} of {score.asked:,}")
        echo(f"  similarity: Spearman {alike.spearman:.3f} over {alike.asked:,} of {alike.pairs:,} pairs")


@app.command()
def similarity(
    models: Annotated[
        list[str], typer.Argument(help="Model folders, `minilm` or hub ids.", show_default=False)
    ],
    file: Annotated[
        Path,
        typer.Option(
            help="Pairs of texts: a TSV with the header `text_a`, `text_b`, `score`, or JSON lines."
        ),
    ],
    pooling: Annotated[
        Pooling | None,
        typer.Option(
            help="Mean of a text's tokens, or its first token. \\[as the model was trained, or mean]"
        ),
    ] = None,
    length: Annotated[int, typer.Option(min=8, help="Maximum number of tokens per text.")] = 128,
) -> None:
    """Evaluate text vectors on text similarity: Spearman correlation with human scores, alignment and uniformity."""
    from kepipe.inference.similarity import measure, read_similar
    from kepipe.inference.text_vectors import open_text_vectors
    from kepipe.models.pretrained import locate

    pairs = read_similar(file)
    for model in models:
        reached = measure(open_text_vectors(locate(model), pooling=pooling, length=length), pairs)
        echo(
            f"{model}: Spearman {reached.spearman:.3f} over {reached.pairs:,} pairs, "
            f"alignment {reached.alignment:.3f}, uniformity {reached.uniformity:.3f}"
        )


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of vectors.")],
    folder: Annotated[Path, typer.Argument(help="Model folder to write.", show_default=False)],
    format: Annotated[FormatName | None, typer.Option(help="Format of the file. Default: detected.")] = None,
) -> None:
    """Import a file of vectors as a model, which can be fine-tuned on tasks."""
    from kepipe.inference.word_vectors import import_vectors
    from kepipe.models.static import formats

    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty; choose a new folder")
    vectors = formats.read(file, format, _note)
    import_vectors(vectors, folder, family="imported")
    echo(f"{folder}: {len(vectors.words):,} words, {vectors.vectors.shape[1]} wide")


@app.command()
def export(
    model: ModelArgument,
    file: Annotated[Path, typer.Argument(help="File to write; `.gz`: gzipped.", show_default=False)],
    format: Annotated[FormatName, typer.Option(help="Format of the file.")] = "word2vec",
) -> None:
    """Export a model's vectors to a file in word2vec's or GloVe's format."""
    from kepipe.models.static import formats

    if file.exists():
        raise typer.BadParameter(f"{file} exists; choose a new file")
    vectors = _open(model)
    formats.write(file, vectors, format)
    echo(f"{file}: {len(vectors.words):,} words, {vectors.vectors.shape[1]} wide")


def _open(model: str) -> WordVectors:
    from kepipe.inference.word_vectors import open_vectors

    return open_vectors(model, _note)


def _note(message: str) -> None:
    echo(message, err=True)


def _shipped() -> Path:
    """The folder of gensim's evaluation data."""
    from gensim.test.utils import datapath

    return Path(datapath(""))


def _show(found: list[tuple[str, float]]) -> None:
    for word, cosine in found:
        echo(f"  {cosine:6.3f}  {word}")


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%}" if total else "none"

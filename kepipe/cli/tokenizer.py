"""`kepipe tokenizer`: train a tokenizer, and tokenize text with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo
from kepipe.tokenization.table import KindName, described

app = typer.Typer(help="Train a tokenizer and try it on text.", no_args_is_help=True)


@app.command()
def train(
    files: Annotated[
        list[Path],
        typer.Argument(
            exists=True, dir_okay=False, help="Texts: .txt (one text per line) or .jsonl (key `text`)."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the tokenizer.")],
    kind: Annotated[KindName, typer.Option(help=f"Kind of tokenizer. {described()}.")] = "wordpiece",
    size: Annotated[int, typer.Option(min=300, help="Vocabulary size.")] = 16384,
    lowercase: Annotated[
        bool, typer.Option(help="Lower-case the text (byte-level BPE always keeps case).")
    ] = True,
) -> None:
    """Train a tokenizer; a pipeline uses it by `shards: {tokenizer: {from: FOLDER}}`."""
    from kepipe.data.text_files import TextFiles
    from kepipe.tokenization.training import train_tokenizer

    if out.is_dir() and any(out.iterdir()):
        raise typer.BadParameter(f"{out} is not empty; choose a new folder")
    tokenizer = train_tokenizer(TextFiles(tuple(files)), kind, size, lowercase)
    tokenizer.save(out)
    echo(f"{out}: {tokenizer.vocab_size:,} entries, {len(tokenizer.special)} of them special")
    if tokenizer.vocab_size < size:
        echo(f"the text is too small for the requested {size:,} entries", err=True)


@app.command()
def show(
    source: Annotated[str, typer.Argument(help="`minilm`, a folder, a vocab.txt, or a hub id.")],
    text: Annotated[str, typer.Argument(help="Text to tokenize.")],
) -> None:
    """Print the tokens of a text, with a `|` before each word."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(source)
    encoded = tokenizer.encode([text])
    for token, start, end, word in zip(
        encoded.tokens, encoded.starts, encoded.ends, encoded.words, strict=True
    ):
        bar = "|" if word else " "
        echo(f"{bar} {int(token):>7}  {tokenizer.backend.id_to_token(int(token))!r}  {text[start:end]!r}")

"""`kepipe import-arpa`: an ARPA file as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo


def import_arpa(
    file: Annotated[Path, typer.Argument(help="An ARPA file; `.gz`: gzipped.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="The tokenizer whose tokens are the file's words. Default: words are separated by white space."
        ),
    ] = None,
) -> None:
    """Import an ARPA file (of lmplz, SRILM, …) as a model for generate, few-shot, quiz and perplexity."""
    from kepipe.models.ngram import arpa
    from kepipe.models.ngram.fitting import save
    from kepipe.models.ngram.vocabulary import match
    from kepipe.tokenization.tokenizer import load_tokenizer
    from kepipe.tokenization.word_level import words_tokenizer

    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty; choose a new folder")
    tables, words = arpa.read(file)
    if tokenizer is None:
        words_tokenizer(words).save(folder)
    save(folder, tables, words, folder if tokenizer is None else tokenizer, {"stage": "import-arpa"})
    known = int((match(words, load_tokenizer(folder)).tokens >= 0).sum())
    sizes = ", ".join(f"{size:,} of order {order}" for order, size in enumerate(tables.sizes, 1))
    echo(f"{folder}: n-grams: {sizes}; {known:,} of {len(words):,} words are tokens")

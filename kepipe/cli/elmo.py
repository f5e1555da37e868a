"""`kepipe import-elmo`: a published ELMo as a model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo


def import_elmo(
    options: Annotated[Path, typer.Argument(help="The published options, a JSON file.", show_default=False)],
    weights: Annotated[Path, typer.Argument(help="The published weights, an HDF5 file.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="File of words, one a line, that become one token each. Default: all words are spelled out."
        ),
    ] = None,
) -> None:
    """Import a published ELMo as an encoder for `finetune` (`base: {from: FOLDER}`)."""
    from kepipe.models import folder as folders
    from kepipe.models.elmo import published
    from kepipe.models.elmo.initialise import initialise
    from kepipe.models.elmo.model import Elmo, spelled
    from kepipe.tokenization.trainers import words_or_bytes_tokenizer

    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty; choose a new folder")
    words = [] if vocabulary is None else published.read_vocabulary(vocabulary)
    tokenizer = words_or_bytes_tokenizer(words)
    config = published.read_options(options, tokenizer.vocab_size)
    model = published.load_weights(initialise(Elmo(config, spelled(tokenizer, config)), seed=0), weights)
    tokenizer.save(folder)
    folders.save(folder, model, provenance={"stage": "import-elmo"})
    parameters = sum(weight.numel() for weight in model.parameters())
    echo(
        f"{folder}: {config.layers} layers of {config.cell} cells, {parameters:,} weights; {len(words):,} words are "
        "tokens, others are spelled out; the published weights have no output layer for next-word prediction"
    )

"""Export formats: for each kind of model, a function that writes the model of a folder to another folder, and functions
that convert models to ONNX graphs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.models.onnx.graph import GraphModule
    from kepipe.models.protocols import TrainableEncoder


def export_transformer(source: Path, folder: Path) -> None:
    """A Hugging Face folder, with sentence-transformers files if the model was trained for text vectors."""
    from kepipe.models.hf.export import export_folder

    export_folder(source, folder)


def export_ngram(source: Path, folder: Path) -> None:
    """A gzipped ARPA file, and the tokenizer."""
    from kepipe.models.files import copy_tokenizer
    from kepipe.models.ngram import arpa
    from kepipe.models.ngram.model import load

    model = load(source)
    folder.mkdir(parents=True, exist_ok=True)
    arpa.write(folder / "model.arpa.gz", model.tables, [*model.vocabulary.words])
    copy_tokenizer(source, folder)


def export_static(source: Path, folder: Path) -> None:
    """word2vec's text format, and the tokenizer."""
    from kepipe.inference.word_vectors import vectors_of_folder
    from kepipe.models.files import copy_tokenizer
    from kepipe.models.static import formats

    vectors = vectors_of_folder(source)
    folder.mkdir(parents=True, exist_ok=True)
    formats.write(folder / "vectors.txt", vectors)
    copy_tokenizer(source, folder)


def export_elmo(source: Path, folder: Path) -> None:
    """The published format, and the tokenizer."""
    from kepipe.models.elmo import published
    from kepipe.models.elmo.model import load
    from kepipe.models.files import copy_tokenizer

    published.save(folder, load(source))
    copy_tokenizer(source, folder)


def transformer_graph(model: TrainableEncoder) -> GraphModule:
    from kepipe.models.onnx.encoders import transformer_graph

    return transformer_graph(model)


def network_graph(model: TrainableEncoder) -> GraphModule:
    from kepipe.models.onnx.encoders import network_graph

    return network_graph(model)


def encoder_graph(model: TrainableEncoder) -> GraphModule:
    from kepipe.models.onnx.encoders import EncoderGraph

    return EncoderGraph(model)


def export_xlnet(source: Path, folder: Path) -> None:
    """A Hugging Face folder in the format of current transformers versions."""
    from kepipe.models.hf.xlnet import export, load

    export(source, folder, load(source, 0.0, 0, lambda _: None))

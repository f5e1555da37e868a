"""ELMo's published file formats: weights in HDF5, and options in JSON.

Matrices have the shape [in, out]; the character table has no row for padding; an LSTM's gates are in the order of
`kepipe.models.elmo.lstm`. The softmax over words and a task's mixture are not included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from kepipe.files import write_file
from kepipe.models.elmo.config import ElmoConfig
from kepipe.models.elmo.model import Elmo
from kepipe.models.elmo.spelling import CHARACTERS
from kepipe.models.files import write_json
from kg.regular_files import read_json

if TYPE_CHECKING:
    from h5py import File

OPTIONS, WEIGHTS = "options.json", "weights.hdf5"
NO_WORDS = {"<S>", "</S>", "<UNK>", "!!!MAXTERMID"}
MISSING = "ELMo's published weights are HDF5 files, which take the package h5py: `pip install kepipe[elmo]`"


def read_options(file: Path, vocabulary: int) -> ElmoConfig:
    """The config of a published options file, for a tokenizer of `vocabulary` tokens. Raises ValueError for an invalid
    file, and for a word-based model."""
    try:
        options = read_json(file)
        lstm, cnn = options["lstm"], options.get("char_cnn")
        if cnn is None:
            raise ValueError("a word-based model, without `char_cnn`: only character-based ones can be read")
        if cnn["n_characters"] not in (CHARACTERS, CHARACTERS - 1):
            raise ValueError(f"`n_characters`: expected {CHARACTERS}, found {cnn['n_characters']}")
        return ElmoConfig(
            vocabulary=vocabulary,
            layers=lstm.get("n_layers", 1),
            cell=lstm["dim"],
            projection=lstm["projection_dim"],
            highways=cnn.get("n_highway") or 0,
            filters=tuple((width, count) for width, count in cnn["filters"]),
            character_width=cnn["embedding"]["dim"],
            longest=cnn["max_characters_per_token"],
            activation=cnn["activation"],
            cell_clip=float(lstm.get("cell_clip") or 0),
            projection_clip=float(lstm.get("proj_clip") or 0),
            skip=bool(lstm.get("use_skip_connections")),
            softmax="none",
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{file}: not an options file of ELMo ({what})") from None


def read_vocabulary(file: Path) -> list[str]:
    """The words of a published vocabulary, one per line, without its special tokens.

    Raises ValueError if the file is not text.
    """
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: no readable list of words ({error})") from None
    return [word for word in dict.fromkeys(line.strip() for line in lines) if word and word not in NO_WORDS]


def to_options(config: ElmoConfig) -> Mapping[str, Any]:
    """The inverse of `read_options`."""
    return {
        "lstm": {
            "use_skip_connections": config.skip,
            "projection_dim": config.projection,
            "cell_clip": config.cell_clip or None,
            "proj_clip": config.projection_clip or None,
            "dim": config.cell,
            "n_layers": config.layers,
        },
        "char_cnn": {
            "activation": config.activation,
            "filters": [list(one) for one in config.filters],
            "n_highway": config.highways,
            "embedding": {"dim": config.character_width},
            "n_characters": CHARACTERS,
            "max_characters_per_token": config.longest,
        },
    }


def load_weights(model: Elmo, file: Path) -> Elmo:
    """Load the weights of a published file. Raises ValueError if one is missing or of another shape, or h5py is
    missing."""
    with _open(file, "r") as stored:
        try:
            return assign(model, stored)
        except ValueError as reason:
            raise ValueError(f"{file}: {reason}") from None


def assign(model: Elmo, weights: Mapping[str, Any]) -> Elmo:
    """Assign weights by their published names. Raises ValueError if one is missing or of another shape."""
    with torch.no_grad():
        for name, weight in _layout(model):
            found = weights.get(name)
            if found is None or tuple(found.shape) != tuple(weight.shape):
                has = "is missing" if found is None else f"has the shape {tuple(found.shape)}"
                raise ValueError(f"{name} {has}; expected {tuple(weight.shape)}")
            weight.copy_(torch.from_numpy(found[...]))
    return model


def save(folder: Path, model: Elmo) -> None:
    """Write `options.json` and `weights.hdf5`. Raises ValueError if h5py is missing."""

    def write(path: Path) -> None:
        with _open(path, "w") as stored:
            for name, weight in _layout(model):
                stored.create_dataset(name, data=weight.detach().float().contiguous().numpy())

    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / WEIGHTS, write)
    write_json(folder / OPTIONS, to_options(model.config))


def _layout(model: Elmo) -> Iterator[tuple[str, Tensor]]:
    """Name in the file → a view of the weight in the file's layout."""
    cnn = model.cnn
    yield "char_embed", cnn.characters.weight.detach()[1:]
    for number, filters in enumerate(cnn.filters):
        yield f"CNN/W_cnn_{number}", filters.get_parameter("weight").detach().permute(2, 1, 0)[None]
        yield f"CNN/b_cnn_{number}", filters.get_parameter("bias").detach()
    for number, highway in enumerate(cnn.highways):
        for name, part in (("carry", "gate"), ("transform", "transform")):
            yield f"CNN_high_{number}/W_{name}", highway.get_parameter(f"{part}.weight").detach().T
            yield f"CNN_high_{number}/b_{name}", highway.get_parameter(f"{part}.bias").detach()
    if isinstance(cnn.projection, torch.nn.Linear):
        yield "CNN_proj/W_proj", cnn.projection.weight.detach().T
        yield "CNN_proj/b_proj", cnn.projection.bias.detach()
    for direction in range(2):
        for number, layer in enumerate(model.lstm.layers):
            place = f"RNN_{direction}/RNN/MultiRNNCell/Cell{number}/LSTMCell"
            weights = dict(layer.named_parameters())
            for name, ours in (("W_0", "kernel"), ("B", "bias"), ("W_P_0", "projection")):
                if ours in weights:
                    yield f"{place}/{name}", weights[ours].detach()[direction]


def _open(file: Path, mode: str) -> File:
    try:
        import h5py
    except ImportError:
        raise ValueError(MISSING) from None
    try:
        return h5py.File(file, mode)
    except OSError as error:
        raise ValueError(f"{file}: no readable HDF5 file ({error})") from None

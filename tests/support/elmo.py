"""A reference implementation of ELMo, word by word, from files in the published layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from kepipe.data.batch import Batch
from kepipe.models.elmo.config import ElmoConfig
from kepipe.models.elmo.initialise import initialise
from kepipe.models.elmo.model import Elmo, spelled
from kepipe.models.elmo.published import assign
from kepipe.tokenization.trainers import words_or_bytes_tokenizer

Array = npt.NDArray[np.float64]
Files = Mapping[str, Array]

OPTIONS: dict[str, Any] = {
    "lstm": {
        "use_skip_connections": True,
        "projection_dim": 8,
        "cell_clip": 0.4,
        "proj_clip": 0.3,
        "dim": 12,
        "n_layers": 2,
    },
    "char_cnn": {
        "activation": "relu",
        "filters": [[1, 4], [2, 4], [3, 8]],
        "n_highway": 2,
        "embedding": {"dim": 4},
        "n_characters": 262,
        "max_characters_per_token": 50,
    },
}
"""Options of a small model whose clipping has an effect."""


def random_weights(options: Mapping[str, Any], seed: int = 0) -> dict[str, Array]:
    """Weights in the published layout, large enough for clipping to have an effect."""
    rng = np.random.default_rng(seed)
    lstm, cnn = options["lstm"], options["char_cnn"]
    total, width = sum(count for _, count in cnn["filters"]), cnn["embedding"]["dim"]
    hidden, cell = lstm["projection_dim"], lstm["dim"]
    shapes: dict[str, tuple[int, ...]] = {"char_embed": (261, width)}
    for number, (size, count) in enumerate(cnn["filters"]):
        shapes |= {f"CNN/W_cnn_{number}": (1, size, width, count), f"CNN/b_cnn_{number}": (count,)}
    for number in range(cnn["n_highway"]):
        for part in ("carry", "transform"):
            place = f"CNN_high_{number}"
            shapes |= {f"{place}/W_{part}": (total, total), f"{place}/b_{part}": (total,)}
    shapes |= {"CNN_proj/W_proj": (total, hidden), "CNN_proj/b_proj": (hidden,)}
    for direction in range(2):
        for number in range(lstm["n_layers"]):
            place = f"RNN_{direction}/RNN/MultiRNNCell/Cell{number}/LSTMCell"
            shapes |= {f"{place}/W_0": (2 * hidden, 4 * cell), f"{place}/B": (4 * cell,)}
            shapes |= {f"{place}/W_P_0": (cell, hidden)}
    return {name: rng.normal(0.0, 0.6, shape) for name, shape in shapes.items()}


def characters(word: str) -> list[int]:
    """Character ids of a word as in the published code, with padding 0."""
    special = {"<S>": [256], "</S>": [257]}
    inner = special.get(word, [*word.encode()][:48])
    numbers = [258, *inner, 259]
    return [number + 1 for number in numbers + [260] * (50 - len(numbers))]


def sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def word_vector(weights: Files, options: Mapping[str, Any], word: str) -> Array:
    """Convolutions at each position, max-pooling, the highway layers, the projection."""
    table = np.concatenate([np.zeros((1, weights["char_embed"].shape[1])), weights["char_embed"]])
    embedded = table[characters(word)]
    features = []
    for number, (size, _) in enumerate(options["char_cnn"]["filters"]):
        kernel = weights[f"CNN/W_cnn_{number}"][0]
        activations = [
            sum(embedded[start + step] @ kernel[step] for step in range(size))
            for start in range(50 - size + 1)
        ]
        features.append(np.maximum(np.max(activations, axis=0) + weights[f"CNN/b_cnn_{number}"], 0.0))
    x = np.concatenate(features)
    for number in range(options["char_cnn"]["n_highway"]):
        place = f"CNN_high_{number}"
        gate = sigmoid(x @ weights[f"{place}/W_carry"] + weights[f"{place}/b_carry"])
        x = (
            gate * np.maximum(x @ weights[f"{place}/W_transform"] + weights[f"{place}/b_transform"], 0)
            + (1 - gate) * x
        )
    vector: Array = x @ weights["CNN_proj/W_proj"] + weights["CNN_proj/b_proj"]
    return vector


def lstm(
    weights: Files,
    options: Mapping[str, Any],
    direction: int,
    layer: int,
    inputs: Sequence[Array],
    states: tuple[Array, Array] | None = None,
) -> tuple[list[Array], tuple[Array, Array]]:
    """One layer in one direction, with inputs in reading order; returns outputs and the last states."""
    settings = options["lstm"]
    place = f"RNN_{direction}/RNN/MultiRNNCell/Cell{layer}/LSTMCell"
    kernel, bias, projection = (weights[f"{place}/{name}"] for name in ("W_0", "B", "W_P_0"))
    output, cell = states or (np.zeros(settings["projection_dim"]), np.zeros(settings["dim"]))
    outputs = []
    for x in inputs:
        i, g, f, o = np.split(np.concatenate([x, output]) @ kernel + bias, 4)
        cell = sigmoid(f + 1.0) * cell + sigmoid(i) * np.tanh(g)
        cell = np.clip(cell, -settings["cell_clip"], settings["cell_clip"])
        output = np.clip(
            (sigmoid(o) * np.tanh(cell)) @ projection, -settings["proj_clip"], settings["proj_clip"]
        )
        outputs.append(output)
    return outputs, (output, cell)


def layers(weights: Files, options: Mapping[str, Any], words: Sequence[str]) -> Array:
    """The duplicated word vectors and each layer's states, both directions concatenated: [K + 1, W, D]."""
    vectors = [word_vector(weights, options, word) for word in words]
    stacked = [np.stack([np.concatenate([vector, vector]) for vector in vectors])]
    sides = [vectors, vectors]
    for layer in range(options["lstm"]["n_layers"]):
        next_sides = []
        for direction, inputs in enumerate(sides):
            ordered = inputs if direction == 0 else inputs[::-1]
            outputs, _ = lstm(weights, options, direction, layer, ordered)
            if layer and options["lstm"]["use_skip_connections"]:
                outputs = [output + below for output, below in zip(outputs, ordered, strict=True)]
            next_sides.append(outputs if direction == 0 else outputs[::-1])
        sides = next_sides
        stacked.append(np.concatenate([np.stack(side) for side in sides], axis=1))
    return np.stack(stacked)


WORDS = ("the", "moon", "of", "Äpfel", "中", ",")
"""Words in the tokenizer of these tests; all others are encoded by characters."""


def small_model(seed: int = 0, **changes: Any) -> Elmo:
    """A small model with the weights of the random files, in double precision."""
    tokenizer = words_or_bytes_tokenizer(WORDS)
    config = ElmoConfig(
        vocabulary=tokenizer.vocab_size,
        layers=2,
        cell=12,
        projection=8,
        highways=2,
        filters=((1, 4), (2, 4), (3, 8)),
        character_width=4,
        cell_clip=0.4,
        projection_clip=0.3,
        **changes,
    )
    model = initialise(Elmo(config, spelled(tokenizer, config)), seed).double()
    return assign(model, random_weights(OPTIONS, seed)).eval()


def words_of(text: str) -> list[str]:
    """The words of a text separated by spaces, as in a row."""
    return ["<S>", *text.split(), "</S>"]


def batch_of(*texts: str, **changes: Any) -> Batch:
    """Texts as rows, [CLS] … [SEP]."""
    tokenizer = words_or_bytes_tokenizer(WORDS)
    rows = [[tokenizer.cls, *tokenizer.encode([text]).tokens.tolist(), tokenizer.sep] for text in texts]
    longest = max(map(len, rows))
    tokens = [row + [tokenizer.pad] * (longest - len(row)) for row in rows]
    present = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return Batch(tokens=torch.tensor(tokens), documents=torch.tensor(present), **changes)

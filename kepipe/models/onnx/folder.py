"""A folder with an ONNX graph and what is needed to use it: the tokenizer, and a description of inputs and outputs."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Backend

from kepipe.files import write_text
from kepipe.models.files import write_json
from kepipe.models.hf.export import framed
from kepipe.models.onnx.graph import DECODER_TOKENS, GraphModule, Port, write_graph
from kepipe.models.onnx.quantization import write_int8
from kepipe.models.protocols import EncoderConfig
from kepipe.tokenization.tokenizer import ROLES, Tokenizer, load_tokenizer

GRAPH, PORTS, CARD = "model.onnx", "onnx.json", "README.md"
FORMAT = "kepipe-onnx/1"


@dataclass(frozen=True)
class GraphCard:
    """Content of the README. `title`, `about`: a description of the model; `length`: maximum row length in tokens, 0:
    any; `labels`: the columns of `logits`, if these are labels; `int8`: whether the weights are quantised."""

    title: str
    about: str
    length: int = 0
    labels: Sequence[str] = ()
    int8: bool = False


def pretrained_card(config: EncoderConfig, *, int8: bool) -> GraphCard:
    """The card of a model without a task head."""
    family = getattr(config, "family", "word vectors")
    return GraphCard(
        family, f"A model of the family {family}, trained by kepipe.", config.positions, int8=int8
    )


def row_templates(config: EncoderConfig, *, task: bool = False) -> tuple[str | None, str | None]:
    """Templates of rows with one and two texts, as in `Dialect`: those of the model's training, or those of tasks. A
    causal language model gets the text alone."""
    if config.begins_with_cls:
        return "cls $A sep", "cls $A sep $B:1 sep:1" if config.segments > 1 else "cls $A sep $B sep"
    if config.causal and not task:
        return None, None
    return "$A sep", "$A sep $B:1 sep:1" if config.segments > 1 else "$A sep $B sep"


def write_folder(
    folder: Path, graph: GraphModule, source: Path, rows: tuple[str | None, str | None], card: GraphCard
) -> None:
    """Write the graph, its ports, a README, and the tokenizer of the folder `source` with these templates of rows. With
    `card.int8`, the graph's weights are quantised.

    Raises ValueError if the ONNX packages are missing.
    """
    tokenizer = load_tokenizer(source)
    folder.mkdir(parents=True, exist_ok=True)
    if card.int8:
        with tempfile.TemporaryDirectory() as place:
            write_graph(Path(place) / GRAPH, graph)
            write_int8(Path(place) / GRAPH, folder / GRAPH)
    else:
        write_graph(folder / GRAPH, graph)
    write_json(folder / PORTS, _ports(graph, card))
    _write_tokenizer(folder, tokenizer, rows, card.length)
    write_text(folder / CARD, _page(graph, card, tokenizer))


def _ports(graph: GraphModule, card: GraphCard) -> dict[str, Any]:
    def described(ports: Sequence[Port]) -> list[dict[str, Any]]:
        return [asdict(port) for port in ports]

    values = {"inputs": described(graph.inputs), "outputs": described(graph.outputs)}
    longest = card.length or None
    return {
        "format": FORMAT,
        "model": card.title,
        "max_length": longest,
        "weights": "int8" if card.int8 else "float32",
        "labels": list(card.labels) or None,
        **values,
    }


def _write_tokenizer(
    folder: Path, tokenizer: Tokenizer, rows: tuple[str | None, str | None], length: int
) -> None:
    """Write the tokenizer with padding and truncation."""
    tokenizer.save(folder)
    backend = Backend.from_str(json.dumps(framed(tokenizer, *rows)))
    backend.enable_padding(pad_id=tokenizer.pad, pad_token=tokenizer.named["pad"])
    if length:
        backend.enable_truncation(length)
    write_text(folder / "tokenizer.json", backend.to_str(pretty=True))


EXAMPLE = """```python
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

rows = Tokenizer.from_file("tokenizer.json").encode_batch(["a text", "another, longer text"])
values = {{
    "input_ids": np.array([row.ids for row in rows], np.int64),
    "attention_mask": np.array([row.attention_mask for row in rows], np.int64),
    "token_type_ids": np.array([row.type_ids for row in rows], np.int64),{decoder}
}}
session = onnxruntime.InferenceSession("model.onnx")
outputs = session.run(None, {{port.name: values[port.name] for port in session.get_inputs()}})
for port, output in zip(session.get_outputs(), outputs):
    print(port.name, output.shape)
```
"""


def _page(graph: GraphModule, card: GraphCard, tokenizer: Tokenizer) -> str:
    begins = any(port is DECODER_TOKENS for port in graph.inputs)
    start = graph.start if begins else None
    decoder = f'\n    "decoder_input_ids": np.full((len(rows), 1), {start}),' if begins else ""
    lines = [f"# {card.title}", "", card.about, "", EXAMPLE.format(decoder=decoder)]
    lines += ["| | name | type | shape | |", "|---|---|---|---|---|"]
    for kind, ports in (("input", graph.inputs), ("output", graph.outputs)):
        for port in ports:
            shape = ", ".join(map(str, port.axes))
            lines.append(f"| {kind} | `{port.name}` | {port.dtype} | [{shape}] | {port.about} |")
    special = {role: tokenizer.role(role) for role in ROLES if role in tokenizer.named}
    lines += ["", "Named axes may have any size; padding does not affect other rows or tokens."]
    if card.length:
        lines[-1] += f" A row has at most {card.length} tokens."
    lines += [f"Special tokens: {', '.join(f'{role} {id}' for role, id in special.items())}."]
    lines += [f"Labels: {', '.join(map(repr, card.labels))}."] if card.labels else []
    if len(graph.outputs) > 1:
        lines.append(
            "With `onnxruntime.RunOptions().only_execute_path_to_fetches = True`, outputs that are not requested are "
            "not computed."
        )
    if card.int8:
        lines.append("Weights are int8, and outputs differ from those of the model in float32.")
    return "\n".join([*lines, ""])

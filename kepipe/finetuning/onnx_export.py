"""A fine-tuned model as an ONNX graph: tokens in, labels out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from kepipe.finetuning import fine_tuned
from kepipe.finetuning.export import note_knowledge
from kepipe.finetuning.fine_tuned import FineTunedModel, TaskSpec
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.number_head import NumberHead
from kepipe.finetuning.number_output import NumberOutput
from kepipe.models.onnx.encoders import batch_of, token_inputs
from kepipe.models.onnx.folder import GraphCard, row_templates, write_folder
from kepipe.models.onnx.graph import GraphModule, Port


class TaskGraph(GraphModule):
    """An encoder with the head of a task that reads rows or words."""

    def __init__(self, tuned: FineTunedModel) -> None:
        super().__init__()
        spec, self.model, self.config = tuned.spec, tuned.model, tuned.config
        self.words = spec.row.reads == "words"
        self.inputs = token_inputs(self.config)
        self.outputs = (_output(spec),)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Logits of rows [B, L] or of tokens [B, T, L]; or the number of each row, [B]."""
        batch = batch_of(self.config, inputs)
        rows, length = batch.tokens.shape
        if self.words:
            places_N = torch.arange(rows * length)
        else:
            first_B = torch.arange(rows) * length
            places_N = first_B if self.config.begins_with_cls else first_B + batch.documents.sum(1) - 1
        logits_NL: Tensor = self.model(replace(batch, label_positions=places_N))
        if isinstance(self.model.head, NumberHead):
            low, high = self.model.head.bounds
            return (low + (high - low) * logits_NL[:, 0],)
        return (logits_NL.reshape(rows, length, -1) if self.words else logits_NL,)


def export(
    folder: Path, source: Path, note: Callable[[str], None] = lambda _: None, *, int8: bool = False
) -> None:
    """Write the fine-tuned model of `source` as a graph with its tokenizer.

    Raises ValueError for one whose answers take more than logits of a row or of its tokens.
    """
    from kepipe.inference.opening import require_graph

    require_graph(source)
    tuned = fine_tuned.load(source)
    spec = tuned.spec
    if getattr(tuned.config, "fusion", None) is not None:
        raise ValueError(
            f"{source}: it was tuned on entity vectors fused with the text, which no ONNX graph reads"
        )
    if spec.decoding == "crf":
        raise ValueError(
            f"{source}: its labels are decoded by a CRF, which the graph lacks: fine-tune with `decoding: independent` "
            "or `valid` to export it"
        )
    if spec.row.reads not in ("row", "words") or not isinstance(spec.row.output, LabelOutput | NumberOutput):
        raise ValueError(
            f"{source}: {spec.task} ({spec.row.about}) takes more than logits of rows or tokens: `kepipe predict` and "
            "the model registry run it"
        )
    if spec.decoding == "valid":
        note(
            f"{source}: the graph gives the scores of each token's labels, so that sequences may not be valid"
        )
    if spec.overlap is not None:
        note(
            f"{source}: the exported tokenizer cuts long texts, where `kepipe predict` reads them in windows"
        )
    card = GraphCard(
        spec.task,
        f"Answers {spec.row.about}. Fine-tuned by kepipe.",
        spec.length,
        spec.labels if isinstance(spec.row.output, LabelOutput) else (),
        int8,
    )
    write_folder(folder, TaskGraph(tuned).eval(), source, row_templates(tuned.config, task=True), card)
    note_knowledge(source, note)


def _output(spec: TaskSpec) -> Port:
    if not isinstance(spec.row.output, LabelOutput):
        return Port("number", ("batch",), "the number of each row")
    shares = "softmax" if spec.row.output.kind == "one" else "a sigmoid of each"
    if spec.row.reads == "words":
        about = f"of each token, of which the first of a word counts; {shares} gives probabilities"
        return Port("logits", ("batch", "length", len(spec.labels)), about)
    return Port("logits", ("batch", len(spec.labels)), f"of each row; {shares} gives probabilities")

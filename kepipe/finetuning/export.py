"""A fine-tuned model for users of Hugging Face: `AutoModelForSequenceClassification` and `…TokenClassification`.

Their heads of a row have a tanh layer before the linear one, which ours have not. It is made one that changes nothing:
tanh(εh) / ε = h · (1 − (εh)²/3 + …), with an ε at which the second term is below what fp32 tells apart for |h| < 300.
In fp16, ε h would be too small to hold: such a folder is for fp32 and bf16.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.finetuning.fine_tuned import HEAD, TaskSpec, read_spec
from kepipe.finetuning.label_output import LabelOutput
from kepipe.models.files import read_tensors, write_json, write_tensors
from kg.regular_files import read_json

if TYPE_CHECKING:
    from torch import Tensor

Weights = dict[str, "Tensor"]
EPSILON = 2.0**-20


@dataclass(frozen=True)
class HeadForm:
    """How a family of theirs holds a head. `body`: what its other weights begin with; `dense`: the layer that changes
    nothing, where there is one; `linear`: the one that gives the logits."""

    architecture: str
    body: str
    linear: str
    dense: str = ""


ROWS: Mapping[str, HeadForm] = {
    "bert": HeadForm("BertForSequenceClassification", "bert.", "classifier", "bert.pooler.dense"),
    "roberta": HeadForm(
        "RobertaForSequenceClassification", "roberta.", "classifier.out_proj", "classifier.dense"
    ),
}
"""Their model type → the head that reads a row's first token."""
WORDS: Mapping[str, HeadForm] = {
    "bert": HeadForm("BertForTokenClassification", "bert.", "classifier"),
    "roberta": HeadForm("RobertaForTokenClassification", "roberta.", "classifier"),
    "gpt2": HeadForm("GPT2ForTokenClassification", "transformer.", "classifier"),
}
"""Their model type → the head that reads each token."""
FORMS: Mapping[str, tuple[Mapping[str, HeadForm], str]] = {
    "row": (ROWS, "text-classification"),
    "words": (WORDS, "token-classification"),
}
"""What a task's head reads → the heads that read so, and their pipeline's name."""


def export(folder: Path, source: Path, note: Callable[[str], None] = lambda _: None) -> str:
    """Write the fine-tuned model of `source` with its head; returns the name of their pipeline that runs it.

    Raises ValueError for one whose head they have no class for, or that reads what theirs cannot be given.
    """
    from kepipe.models.hf import export as exporting
    from kepipe.models.hf.huggingface import CONFIG, WEIGHTS, model_type
    from kepipe.models.pretrained import from_pretrained

    spec, model = read_spec(source), from_pretrained(str(source))
    if model.config.fusion is not None:
        raise ValueError(
            f"{source}: it was tuned on entity vectors fused with the text, which no class of Hugging Face's reads: "
            "`kepipe predict` and the model registry run it"
        )
    pipeline = _pipeline(source, spec)
    form = _form(source, spec, model_type(model.config))
    exporting.export(folder, model, source)
    config = read_json(folder / CONFIG)
    write_tensors(
        folder / WEIGHTS, _with_head(read_tensors(folder / WEIGHTS), read_tensors(source / HEAD), form)
    )
    several = isinstance(spec.row.output, LabelOutput) and spec.row.output.kind == "several"
    labels = {str(number): label for number, label in enumerate(spec.labels)}
    kind = "multi_label_classification" if several else "single_label_classification"
    write_json(
        folder / CONFIG,
        {
            **config,
            "architectures": [form.architecture],
            "id2label": labels,
            "label2id": {label: int(number) for number, label in labels.items()},
            **({"problem_type": kind} if spec.row.reads == "row" else {}),
        },
    )
    if spec.decoding == "valid":
        note(f"{source}: theirs takes the likeliest label of each word, so that sequences may not be valid")
    note_knowledge(source, note)
    return pipeline


def note_knowledge(source: Path, note: Callable[[str], None]) -> None:
    """Say which part of a model's knowledge stays behind."""
    from kepipe.knowledge.opening import read_settings
    from kepipe.knowledge.table import name_of

    for settings in read_settings(source):
        note(
            f"{source}: what {name_of(settings)} brings does not go with it: the exported model reads the text alone, "
            "and may answer otherwise than `kepipe predict`"
        )


def _pipeline(source: Path, spec: TaskSpec) -> str:
    """Raises ValueError for a head that none of theirs is like."""
    if spec.row.reads not in FORMS or not isinstance(spec.row.output, LabelOutput):
        raise ValueError(
            f"{source}: Hugging Face has no class for {spec.task} ({spec.row.about}): `kepipe predict` and the model "
            "registry run it"
        )
    if spec.mean:
        raise ValueError(
            f"{source}: its head reads the mean of a row, theirs one token: fine-tune with `pooling: markers` to "
            "export it"
        )
    if spec.mixture:
        raise ValueError(
            f"{source}: its head reads a mixture of all layers, theirs the last one: fine-tune without `mixture` to "
            "export it"
        )
    if spec.decoding == "crf":
        raise ValueError(
            f"{source}: its labels are decoded by a CRF, which theirs lack: fine-tune with `decoding: independent` or "
            "`valid` to export it"
        )
    return FORMS[spec.row.reads][1]


def _form(source: Path, spec: TaskSpec, model_type: str) -> HeadForm:
    """Raises ValueError for a family whose heads of theirs are others."""
    forms, _ = FORMS[spec.row.reads]
    if model_type not in forms:
        raise ValueError(
            f"{source}: Hugging Face's head for {model_type} computes something else than the one that was trained "
            f"here; of {' and '.join(forms)} they are the same"
        )
    return forms[model_type]


def _with_head(body: Mapping[str, Tensor], head: Mapping[str, Tensor], form: HeadForm) -> Weights:
    """The weights of the body alone, and the head's."""
    import torch

    weights = {
        name: value for name, value in body.items() if name.startswith(form.body) and ".pooler." not in name
    }
    weight_LD, bias_L = head["dense.weight"], head["dense.bias"]
    if form.dense:
        width = weight_LD.shape[1]
        weights[f"{form.dense}.weight"] = EPSILON * torch.eye(width)
        weights[f"{form.dense}.bias"] = torch.zeros(width)
        weight_LD = weight_LD / EPSILON
    return {**weights, f"{form.linear}.weight": weight_LD, f"{form.linear}.bias": bias_L}

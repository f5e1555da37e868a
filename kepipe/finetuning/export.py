"""Export of a fine-tuned model to Hugging Face: `AutoModelForSequenceClassification` and `…TokenClassification`.

Their sequence heads have a tanh layer before the linear layer, which kepipe's heads lack. It is set to approximate the
identity: tanh(εh) / ε = h · (1 − (εh)²/3 + …), with ε so small that the second term is below fp32 precision for
|h| < 300. In fp16, εh would underflow: use the exported folder in fp32 or bf16.
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
    """The head of a Hugging Face model class. `body`: prefix of the encoder's weights; `dense`: the layer that is set
    to the identity, "" if there is none; `linear`: the layer that gives the logits."""

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
"""Model type → the head that reads the first token of a row."""
WORDS: Mapping[str, HeadForm] = {
    "bert": HeadForm("BertForTokenClassification", "bert.", "classifier"),
    "roberta": HeadForm("RobertaForTokenClassification", "roberta.", "classifier"),
    "gpt2": HeadForm("GPT2ForTokenClassification", "transformer.", "classifier"),
}
"""Model type → the head that reads each token."""
FORMS: Mapping[str, tuple[Mapping[str, HeadForm], str]] = {
    "row": (ROWS, "text-classification"),
    "words": (WORDS, "token-classification"),
}
"""What a task's head reads → the corresponding heads, and the name of the Hugging Face pipeline."""


def export(folder: Path, source: Path, note: Callable[[str], None] = lambda _: None) -> str:
    """Write the fine-tuned model of `source` with its head; returns the name of the Hugging Face pipeline that runs it.

    Raises ValueError if Hugging Face has no class for the head or for the model's inputs.
    """
    from kepipe.models.hf import export as exporting
    from kepipe.models.hf.huggingface import CONFIG, WEIGHTS, model_type
    from kepipe.models.pretrained import from_pretrained

    spec, model = read_spec(source), from_pretrained(str(source))
    if model.config.fusion is not None:
        raise ValueError(
            f"{source}: the model fuses entity vectors with the text, which no Hugging Face class supports: "
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
        note(
            f"{source}: the exported model labels each word independently, so label sequences may be invalid"
        )
    note_knowledge(source, note)
    return pipeline


def note_knowledge(source: Path, note: Callable[[str], None]) -> None:
    """Say which part of a model's knowledge stays behind."""
    from kepipe.knowledge.opening import read_settings
    from kepipe.knowledge.table import name_of

    for settings in read_settings(source):
        note(
            f"{source}: the knowledge of {name_of(settings)} is not exported: the exported model reads the text alone, "
            "and its predictions may differ from `kepipe predict`"
        )


def _pipeline(source: Path, spec: TaskSpec) -> str:
    """The name of the Hugging Face pipeline. Raises ValueError if no class has such a head."""
    if spec.row.reads not in FORMS or not isinstance(spec.row.output, LabelOutput):
        raise ValueError(
            f"{source}: Hugging Face has no class for {spec.task} ({spec.row.about}): `kepipe predict` and the model "
            "registry run it"
        )
    if spec.mean:
        raise ValueError(
            f"{source}: its head reads the mean of a row, Hugging Face's one token: fine-tune with `pooling: markers` "
            "to export it"
        )
    if spec.mixture:
        raise ValueError(
            f"{source}: its head reads a mixture of all layers, Hugging Face's the last one: fine-tune without "
            "`mixture` to export it"
        )
    if spec.decoding == "crf":
        raise ValueError(
            f"{source}: its labels are decoded by a CRF, which Hugging Face's classes lack: fine-tune with "
            "`decoding: independent` or `valid` to export it"
        )
    return FORMS[spec.row.reads][1]


def _form(source: Path, spec: TaskSpec, model_type: str) -> HeadForm:
    """The head of a model type. Raises ValueError if Hugging Face's head for it computes something else."""
    forms, _ = FORMS[spec.row.reads]
    if model_type not in forms:
        raise ValueError(
            f"{source}: Hugging Face's head for {model_type} differs from the trained one; they agree for "
            f"{' and '.join(forms)}"
        )
    return forms[model_type]


def _with_head(body: Mapping[str, Tensor], head: Mapping[str, Tensor], form: HeadForm) -> Weights:
    """The weights of the encoder, without its pooler, and of the head."""
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

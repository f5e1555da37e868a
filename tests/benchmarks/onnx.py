"""Size, speed and score of a fine-tuned model in torch, as an ONNX graph, and as one with int8 weights, on one core.

    KEPIPE_DATA=… python -m tests.benchmarks.onnx [--texts 500]

Classifiers for sci-cite, trained on 2,000 sentences: MiniLM, a bidirectional LSTM and a CNN, and an LSTM and a CNN that
are distilled from MiniLM. Milliseconds are processor time per text with one thread, the median over batches, without
tokenisation.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from sklearn.metrics import f1_score
from tokenizers import Tokenizer

import kepipe
from kepipe.finetuning import fine_tuned
from kepipe.finetuning.onnx_export import TaskGraph, export
from kg.regular_files import read_json

Inputs = dict[str, npt.NDArray[np.int64]]
Run = Callable[[Inputs], npt.NDArray[np.float32]]
SMALL = {"tokenizer": "minilm", "epochs": 10}
LSTM = {"base": {"family": "lstm", "bidirectional": True, "hidden": 256}, **SMALL}
CNN = {"base": {"family": "cnn"}, **SMALL}
STUDENT = {"inputs": {"teacher": "minilm"}}
MODELS: dict[str, dict[str, Any]] = {
    "minilm": {"base": {"from": "minilm"}},
    "lstm": LSTM,
    "lstm-student": {**LSTM, **STUDENT},
    "cnn": CNN,
    "cnn-student": {**CNN, **STUDENT},
}
"""Stages `finetune`."""


def fine_tune(folder: Path) -> Path:
    """Fine-tune the models; returns the folder with one model per stage."""
    data = Path(os.environ["KEPIPE_DATA"]) / "tasks" / "sci-cite"
    common = {
        "use": "finetune",
        "task": "classification",
        "data": {"train": str(data / "train.jsonl"), "max_train": 2000},
        "length": 96,
    }
    file = folder / "pipeline.yaml"
    stages = {name: {**common, **settings} for name, settings in MODELS.items()}
    file.write_text(json.dumps({"name": "classifiers", "stages": stages}))
    kepipe.run(file, workspace=folder / "workspace", progress=False)
    return folder / "workspace" / "classifiers"


def batches(folder: Path, texts: Sequence[str], size: int) -> Iterator[Inputs]:
    encoder = Tokenizer.from_file(str(folder / "tokenizer.json"))
    names = [port["name"] for port in read_json(folder / "onnx.json")["inputs"]]
    for first in range(0, len(texts), size):
        rows = encoder.encode_batch(texts[first : first + size])
        columns = {
            "input_ids": [row.ids for row in rows],
            "attention_mask": [row.attention_mask for row in rows],
            "token_type_ids": [row.type_ids for row in rows],
        }
        yield {name: np.array(columns[name], np.int64) for name in names}


def torch_run(source: Path) -> Run:
    graph = TaskGraph(fine_tuned.load(source)).eval()

    def run(inputs: Inputs) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            logits: npt.NDArray[np.float32] = graph(*map(torch.from_numpy, inputs.values()))[0].numpy()
        return logits

    return run


def onnxruntime_run(folder: Path) -> Run:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
    return lambda inputs: session.run(["logits"], inputs)[0]


def milliseconds(run: Run, batches: Sequence[Inputs]) -> float:
    """Processor time per text: the median over batches."""
    run(batches[0])
    seconds = []
    for inputs in batches:
        start = time.process_time()
        run(inputs)
        seconds.append((time.process_time() - start) / len(inputs["input_ids"]))
    return 1000 * float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=500, help="number of test texts for speed and score")
    count = parser.parse_args().texts
    torch.set_num_threads(1)
    file = Path(os.environ["KEPIPE_DATA"]) / "tasks" / "sci-cite" / "test.jsonl"
    records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()[:count]]
    texts, gold = [record["text"] for record in records], [record["label"] for record in records]
    print(
        "| model | form | MB | ms a text, one at a time | ms, 32 at a time | macro-F1 | labels as in torch |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        models = fine_tune(Path(folder))
        for name in MODELS:
            compare(name, models / name, Path(folder) / name, texts, gold)


def compare(name: str, source: Path, out: Path, texts: Sequence[str], gold: Sequence[str]) -> None:
    """Print the rows of a model."""
    for form in ("float32", "int8"):
        export(out / form, source, int8=form == "int8")
    labels = read_json(out / "float32" / "onnx.json")["labels"]
    single_batches, large_batches = (list(batches(out / "float32", texts, size)) for size in (1, 32))
    torch_predictions: list[int] = []
    for form, run, weights in (
        ("torch", torch_run(source), [source / "model.safetensors", source / "head.safetensors"]),
        ("ONNX", onnxruntime_run(out / "float32"), [out / "float32" / "model.onnx"]),
        ("ONNX int8", onnxruntime_run(out / "int8"), [out / "int8" / "model.onnx"]),
    ):
        predictions = [int(row.argmax()) for inputs in large_batches for row in run(inputs)]
        torch_predictions = torch_predictions or predictions
        score = f1_score(gold, [labels[prediction] for prediction in predictions], average="macro")
        size = sum(weight.stat().st_size for weight in weights) / 1e6
        agreement = np.mean(
            [
                prediction == expected
                for prediction, expected in zip(predictions, torch_predictions, strict=True)
            ]
        )
        speed = f"{milliseconds(run, single_batches):.1f} | {milliseconds(run, large_batches):.1f}"
        print(f"| {name} | {form} | {size:.1f} | {speed} | {score:.3f} | {agreement:.1%} |", flush=True)


if __name__ == "__main__":
    main()

"""Fine-tuning with default settings, compared with Hugging Face's Trainer.

    KEPIPE_DATA=/path/to/data python -m tests.benchmarks.fine_tuning [--task chemprot] [--examples 300] [--seeds 0 1]

MiniLM is fine-tuned on the first examples of a task in `tasks/` by the stage `finetune` with nothing but its required
settings, by the Trainer as shipped, and by the Trainer with the learning rate and the number of epochs that kepipe
chose. All have the same maximum length, number format and one thread. The Trainer trains on all examples, kepipe on 90%
of them and selects its best epoch on the others. Printed are accuracy on the test part (the first 1,000 texts) and
processor seconds, which for kepipe include encoding, evaluation and saving.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

LENGTH, TESTED = 96, 1000


@dataclass(frozen=True)
class Outcome:
    """Accuracy on the test part, processor seconds, and the epochs and the peak rate of the training."""

    accuracy: float
    seconds: float
    epochs: float
    rate: float


def tune_with_kepipe(train: Sequence[Any], test: Sequence[Any], folder: Path, seed: int) -> Outcome:
    """The stage `finetune` with its defaults."""
    from kepipe.flow.events import Noted
    from kepipe.flow.stage import StageContext
    from kepipe.stages.finetune import FINETUNE

    notes: list[str] = []
    files = {"train": train[: -len(train) // 10], "dev": train[-len(train) // 10 :], "test": test}
    for name, examples in files.items():
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, examples)))
    data = {name: str(folder / f"{name}.jsonl") for name in files}
    config = FINETUNE.config.model_validate(
        {"task": "classification", "base": {"from": "minilm"}, "data": data, "length": LENGTH}
    )
    for part in ("out", "scratch"):
        (folder / part).mkdir()
    context = StageContext(
        folder / "out",
        folder / "scratch",
        seed,
        "cpu",
        lambda event: notes.append(event.message) if isinstance(event, Noted) else None,
    )
    before = time.process_time()
    FINETUNE.run(FINETUNE.inputs(), config, context)
    seconds = time.process_time() - before
    scores = json.loads((folder / "out" / "scores.json").read_text())["arms"]["model"]["test"]
    (match,) = filter(
        None, (re.search(r"epochs: (\d+), .* peak learning rate: (\S+)", note) for note in notes)
    )
    return Outcome(scores["accuracy"]["value"], seconds, int(match[1]), float(match[2]))


def tune_with_trainer(
    train: Sequence[Any], test: Sequence[Any], folder: Path, seed: int, settings: dict[str, float]
) -> Outcome:
    """transformers' Trainer, whose defaults are 8 examples per update, 3 epochs, a peak rate of 5e-5."""
    import numpy as np
    import transformers as hf

    from kepipe.model_names import minilm_folder

    labels = sorted({example["label"] for example in train})
    tokenizer = hf.AutoTokenizer.from_pretrained(str(minilm_folder()))
    hf.set_seed(seed)
    model: Any = hf.AutoModelForSequenceClassification.from_pretrained(
        str(minilm_folder()), num_labels=len(labels)
    )

    def encode(examples: Sequence[Any]) -> list[dict[str, Any]]:
        encoded = tokenizer([example["text"] for example in examples], truncation=True, max_length=LENGTH)
        targets = [
            labels.index(example["label"]) if example["label"] in labels else 0 for example in examples
        ]
        return [
            {"input_ids": row, "attention_mask": [1] * len(row), "labels": target}
            for row, target in zip(encoded["input_ids"], targets, strict=True)
        ]

    arguments = hf.TrainingArguments(
        output_dir=str(folder / "trainer"), use_cpu=True, bf16=True, seed=seed, save_strategy="no",
        logging_strategy="no", report_to=[], disable_tqdm=True, **settings,
    )  # fmt: skip
    trainer = hf.Trainer(
        model=model,
        args=arguments,
        train_dataset=encode(train),
        data_collator=hf.DataCollatorWithPadding(tokenizer),
    )
    before = time.process_time()
    trainer.train()
    seconds = time.process_time() - before
    predictions = trainer.predict(encode(test)).predictions.argmax(-1)
    accuracy = float(
        np.mean([labels[index] == example["label"] for index, example in zip(predictions, test, strict=True)])
    )
    return Outcome(accuracy, seconds, arguments.num_train_epochs, arguments.learning_rate)


def show(name: str, outcomes: Sequence[Outcome]) -> None:
    """A row of the table: means over the seeds, and each seed's accuracy."""
    by_seed = ", ".join(f"{outcome.accuracy:.3f}" for outcome in outcomes)
    seconds = mean(outcome.seconds for outcome in outcomes)
    accuracy, last = mean(outcome.accuracy for outcome in outcomes), outcomes[-1]
    print(
        f"{name:36}{last.epochs:7.0f}{last.rate:9.1e}{accuracy:10.3f}{seconds:9.0f} s  {by_seed}",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--task", default="chemprot", help="a folder of `tasks` with train.jsonl and test.jsonl"
    )
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    args = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    task = Path(os.environ["KEPIPE_DATA"]) / "tasks" / args.task
    train, test = (
        [json.loads(line) for line in (task / f"{name}.jsonl").read_text().splitlines()[:limit]]
        for name, limit in (("train", args.examples), ("test", TESTED))
    )
    print(f"{'':36}{'epochs':>7}{'rate':>9}{'accuracy':>10}{'seconds':>11}  by seed")
    rows: dict[str, list[Outcome]] = {
        "kepipe": [],
        "Trainer as shipped": [],
        "Trainer, kepipe's epochs and rate": [],
    }
    for seed in args.seeds:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            outcome = tune_with_kepipe(train, test, folder, seed)
            settings = {
                "num_train_epochs": outcome.epochs,
                "learning_rate": outcome.rate,
                "warmup_steps": 0.1,
            }
            rows["kepipe"].append(outcome)
            rows["Trainer as shipped"].append(tune_with_trainer(train, test, folder, seed, {}))
            rows["Trainer, kepipe's epochs and rate"].append(
                tune_with_trainer(train, test, folder, seed, settings)
            )
    for name, outcomes in rows.items():
        show(name, outcomes)


if __name__ == "__main__":
    main()

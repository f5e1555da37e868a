"""Tokens per second of pretraining with kepipe and with Hugging Face's Trainer.

Model, tokenizer, text, batch, precision and optimiser (AdamW) are the same.

    python -m tests.benchmarks.pretrain [--rows mini base gpt bart lines] [--steps 12] [--repeat 1]

Each measurement is a separate process. Text: the Wikipedia sample in gensim's wheel, with a WordPiece vocabulary of
16,384. `lines`: one short sentence per row, with the lengths of dictionary glosses, in a batch so small that the
Trainer's padded logits fit into memory. Throughput is that of the median update after the first two; tokens include
special tokens, but not padding. On a shared machine, the ratio of tokens per second of processor time varies less.
`of peak`: FLOPs per second of the matrix products of an update, divided by those of a single large matrix product.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

Format = Literal["packed", "doc-sentences"]
LENGTH, BATCH = 128, 8192


@dataclass(frozen=True)
class Case:
    """A model and a text to train it on."""

    base: dict[str, Any]
    objective: str
    text: str = "running"
    tokens: int = BATCH

    @property
    def format(self) -> Format:
        return "packed" if self.text == "running" else "doc-sentences"


MASKING = {"mlm": {"mlm_probability": 0.15}}
"""Objective → the settings with which it masks as many tokens as the Trainer's collator."""
CASES = {
    "mini": Case({"family": "bert", "size": "mini"}, "mlm"),
    "base": Case({"family": "bert", "size": "base"}, "mlm", tokens=2048),
    "gpt": Case({"family": "gpt2", "size": "mini"}, "causal-lm"),
    "bart": Case({"family": "bart", "size": "mini"}, "denoising"),
    "lines": Case({"family": "bert", "size": "mini"}, "mlm", text="lines", tokens=2048),
}


def prepare(root: Path) -> None:
    """Shards of running text and of short lines, with one tokenizer."""
    from kepipe.data.document import Document
    from kepipe.data.document_files import read_documents, write_documents
    from kepipe.flow.stage import Nothing, StageContext
    from kepipe.stages.artifacts import Linked
    from kepipe.stages.corpus import CORPUS
    from kepipe.stages.shards import SHARDS

    def context(name: str) -> StageContext:
        for part in ("out", "scratch"):
            (root / name / part).mkdir(parents=True)
        return StageContext(root / name / "out", root / name / "scratch", 0, "cpu", lambda event: None)

    CORPUS.run(Nothing(), CORPUS.config(), corpus := context("corpus"))
    SHARDS.run(SHARDS.inputs(Linked(corpus.out, "")), SHARDS.config(), running := context("running"))
    (root / "cut").mkdir()
    rng = np.random.default_rng(0)
    words = [
        word for document in read_documents(corpus.out / "documents.jsonl") for word in document.text.split()
    ]
    lengths = np.clip(rng.lognormal(2.1, 0.6, len(words) // 8), 2, 60).astype(int)
    ends = np.cumsum(lengths)
    starts = ends - lengths
    lines = (" ".join(words[a:b]) for a, b in zip(starts, ends, strict=True) if b <= len(words))
    write_documents(
        root / "cut" / "documents.jsonl", (Document(f"line{n}", text) for n, text in enumerate(lines))
    )
    settings = SHARDS.config.model_validate({"tokenizer": {"from": str(running.out / "tokenizer")}})
    (root / "cut" / "corpus.json").write_text((corpus.out / "corpus.json").read_text())
    SHARDS.run(SHARDS.inputs(Linked(root / "cut", "")), settings, context("lines"))


class Throughput(NamedTuple):
    """Tokens per second of one update, by wall time and by processor time.

    `of_peak`: FLOPs per second of its matrix products, divided by those of a single large matrix product.
    """

    clock: float
    processor: float
    of_peak: float = 0.0


def processor_seconds() -> float:
    """Processor time of this process, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def train_with_kepipe(case: Case, shards: Path, steps: int, **settings: Any) -> list[Throughput]:
    """The speed of each update, with these settings of `pretrain`."""
    from kepipe.flow.events import Event, Metrics
    from kepipe.flow.stage import StageContext
    from kepipe.stages.artifacts import Shards
    from kepipe.stages.pretrain import PRETRAIN

    speeds: list[Throughput] = []
    previous = time.perf_counter(), processor_seconds()

    def record_speed(event: Event) -> None:
        nonlocal previous
        if isinstance(event, Metrics) and "tokens_per_second" in event.values:
            current = time.perf_counter(), processor_seconds()
            seconds, processor_used = current[0] - previous[0], current[1] - previous[1]
            clock = event.values["tokens_per_second"]
            speeds.append(
                Throughput(clock, clock * seconds / processor_used, event.values["model_flops_utilisation"])
            )
            previous = current

    config = PRETRAIN.config.model_validate(
        {
            "base": case.base,
            "objective": {"name": case.objective, **MASKING.get(case.objective, {})},
            "format": case.format,
            "length": LENGTH,
            "steps": steps,
        }
        | {
            "batch_tokens": case.tokens,
            "precision": "bf16",
            "log_every": 1,
            "eval_tokens": 1,
            "eval_every": steps,
        }
        | settings
    )
    with tempfile.TemporaryDirectory() as name:
        for part in ("out", "scratch"):
            (Path(name) / part).mkdir()
        context = StageContext(Path(name) / "out", Path(name) / "scratch", 0, "cpu", record_speed)
        PRETRAIN.run(PRETRAIN.inputs(Shards(shards, "")), config, context)
    return speeds


def train_with_trainer(case: Case, shards: Path, steps: int) -> list[Throughput]:
    """The same with transformers' Trainer, its collators and dynamic padding."""
    import torch
    import transformers as hf

    from kepipe.data.row_batches import open_batches
    from kepipe.data.shards import open_shard
    from kepipe.objectives import table
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(shards / "tokenizer")
    fast = hf.PreTrainedTokenizerFast.from_pretrained(str(shards / "tokenizer"))
    batches = open_batches(
        open_shard(shards / "train"),
        tokenizer,
        format=case.format,
        length=LENGTH,
        tokens=case.tokens,
    )
    examples: list[dict[str, Any]] = []
    rng = np.random.default_rng(0)
    denoise = table.build(table.read("denoising"), tokenizer) if case.objective == "denoising" else None
    for number in range(min(batches.per_epoch, steps + 4)):
        rows = batches[number]
        if denoise is None:
            present = rows.documents > 0
            examples += [
                {"input_ids": row[row_present].tolist()}
                for row, row_present in zip(rows.tokens, present, strict=True)
            ]
            continue
        batch = denoise.collate(rows, rng, 0.0)
        assert batch.labels is not None
        assert batch.decoder_documents is not None
        targets = torch.split(batch.labels, batch.decoder_documents.sum(1).tolist())
        sources = [
            row[row_present > 0].tolist()
            for row, row_present in zip(batch.tokens, batch.documents, strict=True)
        ]
        examples += [{"input_ids": s, "labels": t.tolist()} for s, t in zip(sources, targets, strict=True)]
    rng.shuffle(examples)
    V = tokenizer.vocab_size
    if case.objective == "mlm":
        D, L, H = {"mini": (256, 4, 4), "base": (768, 12, 12)}[case.base["size"]]
        model: Any = hf.BertForMaskedLM(
            hf.BertConfig(vocab_size=V, hidden_size=D, num_hidden_layers=L, num_attention_heads=H,
                          intermediate_size=4 * D, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
        )  # fmt: skip
        collate: Any = hf.DataCollatorForLanguageModeling(fast, mlm_probability=0.15)
    elif case.objective == "causal-lm":
        model = hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=V, n_embd=256, n_layer=4, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0
            )
        )
        collate = hf.DataCollatorForLanguageModeling(fast, mlm=False)
    else:
        model = hf.BartForConditionalGeneration(
            hf.BartConfig(vocab_size=V, d_model=256, encoder_layers=4, decoder_layers=4, encoder_attention_heads=4,
                          decoder_attention_heads=4, encoder_ffn_dim=1024, decoder_ffn_dim=1024, dropout=0.0,
                          pad_token_id=tokenizer.pad, bos_token_id=tokenizer.cls, eos_token_id=tokenizer.sep,
                          decoder_start_token_id=tokenizer.sep, forced_eos_token_id=None)
        )  # fmt: skip
        collate = hf.DataCollatorForSeq2Seq(fast, model)
    mean = np.mean([len(example["input_ids"]) for example in examples])
    token_counts: list[int] = []
    step_times: list[tuple[float, float]] = []

    def count(features: list[dict[str, Any]]) -> Any:
        token_counts.append(sum(len(f["input_ids"]) + len(f.get("labels", ())) for f in features))
        return collate(features)

    class Clock(hf.TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            step_times.append((time.perf_counter(), processor_seconds()))

    with tempfile.TemporaryDirectory() as folder:
        arguments = hf.TrainingArguments(
            output_dir=folder, use_cpu=True, bf16=True, max_steps=steps, save_strategy="no", logging_strategy="no",
            report_to=[], per_device_train_batch_size=max(1, round(case.tokens / mean)), learning_rate=5e-4,
            disable_tqdm=True,
        )  # fmt: skip
        torch.manual_seed(0)
        hf.Trainer(
            model=model, args=arguments, train_dataset=examples, data_collator=count, callbacks=[Clock()]
        ).train()
    durations = np.diff(np.array(step_times), axis=0)
    return [
        Throughput(n / seconds, n / processor_used)
        for n, (seconds, processor_used) in zip(token_counts[1:], durations, strict=False)
    ]


def measure(trainer: str, name: str, root: Path, steps: int) -> dict[str, float]:
    """Run one measurement in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.pretrain",
        "--measure",
        trainer,
        name,
        str(root),
        "--steps",
        str(steps),
    ]
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    measurement: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return measurement


def main() -> None:
    """Print the table, or one measurement as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument(
        "--repeat", type=int, default=1, help="number of measurements, of which the best counts"
    )
    parser.add_argument("--data", type=Path, help="store the shards in this folder and reuse them")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        trainer, name, root = args.measure
        case = CASES[name]
        shards = Path(root) / case.text / "out"
        speeds = (
            train_with_kepipe(case, shards, args.steps, optimizer="adamw")
            if trainer == "ours"
            else train_with_trainer(case, shards, args.steps)
        )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        clock, processor, of_peak = (float(np.median(column)) for column in zip(*speeds[2:], strict=True))
        print(json.dumps({"speed": clock, "processor": processor, "of_peak": of_peak, "memory": peak}))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = args.data or Path(folder)
        if not (root / "lines" / "out").exists():
            prepare(root)
        print(
            f"{'':8}{'kepipe tok/s':>14}{'Trainer tok/s':>15}{'ratio':>8}{'by CPU time':>13}"
            f"{'kepipe MB':>12}{'Trainer MB':>12}{'kepipe of peak':>16}",
            flush=True,
        )
        for name in args.rows:
            measurements = {"ours": [], "theirs": []}  # type: dict[str, list[dict[str, float]]]
            for _ in range(args.repeat):
                for trainer, values in measurements.items():
                    values.append(measure(trainer, name, root, args.steps))
            kepipe, hf_trainer = (
                max(measurements[trainer], key=lambda m: m["speed"]) for trainer in ("ours", "theirs")
            )
            print(
                f"{name:8}{kepipe['speed']:14,.0f}{hf_trainer['speed']:15,.0f}"
                f"{kepipe['speed'] / hf_trainer['speed']:8.2f}"
                f"{kepipe['processor'] / hf_trainer['processor']:13.2f}"
                f"{kepipe['memory']:12,.0f}{hf_trainer['memory']:12,.0f}{kepipe['of_peak']:16.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

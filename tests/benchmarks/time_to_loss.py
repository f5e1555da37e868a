"""Time of kepipe's recipe to the loss of Hugging Face's Trainer, and the contribution of each ingredient.

    KEPIPE_DATA=/path/to/data python -m tests.benchmarks.time_to_loss [--size mini] [--updates 400] [--seeds 0 1 2]
        [--rates 3e-4 1e-3 3e-3] [--warmups 0 0.06] [--fractions 0.25 0.5 1] [--families bert] [--texts movie-reviews]
        [--ingredients] [--data FOLDER]

The Trainer trains BERT (a) with its defaults, batches of 8 rows at 5e-5 with dropout, and (b) at the best of the given
learning rates and warm-ups, with kepipe's batches and without dropout. kepipe trains with its default recipe for
fractions of the updates of (b), each a training of its own with its own decay; the time to the loss at which (b) ends
is interpolated between two of them. All have the same text, tokenizer, number format (bf16 on a processor that has it,
else fp32) and one thread, and are evaluated
on the same masked tokens of held-out text, 15%, by the same code: the Trainer's weights are loaded into kepipe's model.
Seconds are processor time and wall time of training alone; other processes on the machine matter little to the
first. An ingredient with a budget of time has no number of updates: it trains for the wall time of the run that it is
compared with, so its result depends on the machine's load. Text: the Wikipedia
sample in gensim's wheel and, if `KEPIPE_DATA` is set, texts of its `corpora`; `--texts` names others, on which the
recipe was not chosen. Every measurement is a separate process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

from tests.benchmarks.recipe_ingredients import BUDGET_OF, INGREDIENTS, changed_model
from tests.benchmarks.training_times import Outcome, times_sooner

LENGTH, BATCH, SHIPPED_ROWS, HELD_OUT_TOKENS = 128, 4096, 8, 131_072
SIZES = {"mini": (256, 4, 4), "base": (768, 12, 12)}
SAMPLE = "wikipedia-sample"
TEXTS = ("biomedical-abstracts", "codex-s-extracts", "abc-news")


@dataclass(frozen=True)
class Run:
    """A training: by kepipe or the Trainer (`who`), model size, number of updates, seed, settings."""

    who: str
    size: str
    updates: int
    seed: int
    settings: dict[str, Any] = field(default_factory=dict)


def prepare(root: Path, texts: Sequence[str]) -> None:
    """Shards of all texts, with one tokenizer.

    Raises:
        KeyError: a text other than the sample was asked for, and `KEPIPE_DATA` is not set.
    """
    from kepipe.data.document import Document
    from kepipe.data.document_files import read_documents, write_documents
    from kepipe.flow.stage import Nothing
    from kepipe.stages.artifacts import Linked
    from kepipe.stages.corpus import CORPUS
    from kepipe.stages.shards import SHARDS

    CORPUS.run(Nothing(), CORPUS.config(), corpus := context(root / "corpus"))

    def documents() -> Iterator[Document]:
        for name in texts:
            if name == SAMPLE:
                yield from read_documents(corpus.out / "documents.jsonl")
                continue
            file = Path(os.environ["KEPIPE_DATA"]) / "corpora" / f"{name}.jsonl"
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines()):
                if text := json.loads(line)["text"].strip():
                    yield Document(f"{name}-{number}", text)

    (root / "text").mkdir()
    write_documents(root / "text" / "documents.jsonl", documents())
    (root / "text" / "corpus.json").write_text((corpus.out / "corpus.json").read_text())
    settings = SHARDS.config.model_validate({"tokenizer": {"kind": "wordpiece", "size": 8192}})
    SHARDS.run(SHARDS.inputs(Linked(root / "text", "")), settings, context(root / "shards"))


def context(folder: Path, seed: int = 0) -> Any:
    """A stage context that ignores events."""
    from kepipe.flow.stage import StageContext

    for part in ("out", "scratch"):
        (folder / part).mkdir(parents=True)
    return StageContext(folder / "out", folder / "scratch", seed, "cpu", lambda _event: None)


def held_out_loss(model: Any, shards: Path) -> float:
    """The loss of masked tokens of held-out text, in fp32; the same tokens for all models."""
    import torch

    from kepipe.data.row_batches import open_batches
    from kepipe.data.shards import open_shard
    from kepipe.objectives import table
    from kepipe.objectives.batches import HELD_OUT_SEED, held_out_batches
    from kepipe.objectives.mlm import MLM
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(shards / "tokenizer")
    rows = open_batches(
        open_shard(shards / "held_out"),
        tokenizer,
        format="packed",
        length=LENGTH,
        tokens=BATCH,
        seed=HELD_OUT_SEED,
    )
    objective = table.build(MLM(), tokenizer)
    loss_sum, tokens = 0.0, 0
    model.eval()
    for batch in held_out_batches(objective, rows.__getitem__, min(HELD_OUT_TOKENS // BATCH, rows.per_epoch)):
        count = objective.criterion.counts(batch)["mlm"]
        with torch.no_grad():
            loss_sum += float(objective.criterion(model, batch)["mlm"]) * count
        tokens += count
    return loss_sum / tokens


def precision() -> str:
    """The number format of all trainings: bf16 on a processor that has it, else fp32."""
    from kepipe.training.distributed import resolve_precision

    return resolve_precision("auto", "cpu")


def train_with_kepipe(run: Run, shards: Path, folder: Path) -> tuple[Any, float, float]:
    """Train by the stage `pretrain`; returns the model, processor and wall time."""
    from kepipe.models import folder as model_folder
    from kepipe.stages.artifacts import Shards
    from kepipe.stages.pretrain import PRETRAIN

    never = 10**9
    settings = dict(run.settings)
    changes = {"parts": settings.pop("parts", {}), "decay_all": settings.pop("decay_all", False)}
    config = PRETRAIN.config.model_validate(
        {"objective": "mlm", "format": "packed", "length": LENGTH, "batch_tokens": BATCH}
        | {"log_every": never, "eval_every": never, "checkpoint_every": never, "eval_tokens": 1}
        | ({} if "budget" in settings else {"steps": run.updates})
        | {"precision": precision()}
        | {**settings, "base": {"size": run.size, **settings.get("base", {})}}
    )
    stage_context = context(folder / "ours", run.seed)
    before = time.process_time(), time.perf_counter()
    with changed_model(**changes):
        PRETRAIN.run(PRETRAIN.inputs(Shards(shards, "")), config, stage_context)
    after = time.process_time(), time.perf_counter()
    return model_folder.load(stage_context.out), after[0] - before[0], after[1] - before[1]


def train_with_trainer(run: Run, shards: Path, folder: Path) -> tuple[Any, float, float]:
    """Train by transformers' Trainer with its collator, on rows of `LENGTH` tokens; returns the same."""
    import torch
    import transformers as hf

    from kepipe.data.row_batches import open_batches
    from kepipe.data.shards import open_shard
    from kepipe.models.hf import huggingface
    from kepipe.tokenization.tokenizer import load_tokenizer

    shipped = run.who == "shipped"
    rows = SHIPPED_ROWS if shipped else BATCH // LENGTH
    tokenizer = load_tokenizer(shards / "tokenizer")
    batches = open_batches(
        open_shard(shards / "train"),
        tokenizer,
        format="packed",
        length=LENGTH,
        tokens=rows * LENGTH,
        seed=run.seed,
    )
    examples = [
        {"input_ids": row.tolist()}
        for number in range(min(run.updates, batches.per_epoch))
        for row in batches[number].tokens
    ]
    hidden, layers, heads = SIZES[run.size]
    dropout = {} if shipped else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = hf.BertConfig(
        vocab_size=tokenizer.vocab_size, hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=4 * hidden, **dropout,
    )  # fmt: skip
    torch.manual_seed(run.seed)
    model: Any = hf.BertForMaskedLM(config)
    fast = hf.PreTrainedTokenizerFast.from_pretrained(str(shards / "tokenizer"))
    arguments = hf.TrainingArguments(
        output_dir=str(folder / "trainer"), use_cpu=True, bf16=precision() == "bf16", max_steps=run.updates,
        save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True, per_device_train_batch_size=rows,
        seed=run.seed,
        **({} if shipped else {"learning_rate": run.settings["learning_rate"]}),
        **({} if shipped else {"warmup_steps": round(run.settings["warmup"] * run.updates)}),
    )  # fmt: skip
    collator = hf.DataCollatorForLanguageModeling(fast, mlm_probability=0.15)
    trainer = hf.Trainer(model=model, args=arguments, train_dataset=examples, data_collator=collator)
    before = time.process_time(), time.perf_counter()
    trainer.train()
    after = time.process_time(), time.perf_counter()
    model.save_pretrained(folder / "theirs")
    return huggingface.load(folder / "theirs").model, after[0] - before[0], after[1] - before[1]


def train_and_evaluate(run: Run, shards: Path) -> Outcome:
    """Train a model and evaluate it."""
    import torch

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        train = train_with_kepipe if run.who == "kepipe" else train_with_trainer
        model, processor, wall = train(run, shards, Path(name))
        return Outcome(held_out_loss(model, shards), processor, wall)


def measure(runs: Sequence[Run], root: Path) -> Outcome:
    """The mean over runs, each in a separate process; earlier outcomes are read from the file."""
    outcomes = []
    for run in runs:
        run_json = json.dumps(asdict(run), sort_keys=True)
        outcomes_file = root / "outcomes.jsonl"
        lines = outcomes_file.read_text().splitlines() if outcomes_file.exists() else []
        earlier = [json.loads(line) for line in lines]
        outcome = next((line["outcome"] for line in earlier if line["run"] == run_json), None)
        if outcome is None:
            work_options = ["--work", run_json, "--data", str(root)]
            command = [sys.executable, "-m", "tests.benchmarks.time_to_loss", *work_options]
            process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            outcome = json.loads(process.stdout.splitlines()[-1])
            with outcomes_file.open("a") as stream:
                stream.write(json.dumps({"run": run_json, "outcome": outcome}) + "\n")
        outcomes.append(outcome)
    return Outcome(
        **{name: mean(outcome[name] for outcome in outcomes) for name in ("loss", "processor", "wall")}
    )


def with_budget(run: Run, root: Path) -> Run:
    """The run of an ingredient; if it has a budget, this is the wall time of the run that it is compared with."""
    settings = dict(run.settings)
    if (other := settings.pop(BUDGET_OF, None)) is None:
        return run
    seconds = measure([replace(run, settings=INGREDIENTS[other])], root).wall
    return replace(run, settings={**settings, "budget": f"{max(1, round(seconds))}s"})


def show(name: str, updates: int | str, outcome: Outcome) -> None:
    """A row of the table; `updates`: their number, or `time` if a budget decided."""
    print(f"{name:44}{updates:>9}{outcome.processor:12.0f}{outcome.wall:9.0f}{outcome.loss:9.3f}", flush=True)


def compare(args: argparse.Namespace, root: Path) -> None:
    """Print the Trainer's sweep, kepipe's time to its loss, and the Trainer with its defaults."""
    size, updates, seeds = args.size, args.updates, args.seeds
    sweep = {}
    for rate in args.rates:
        for warmup in args.warmups:
            settings = {"learning_rate": rate, "warmup": warmup}
            sweep[rate, warmup] = measure([Run("swept", size, updates, seeds[0], settings)], root)
            show(f"(b) Trainer, rate {rate:g}, warm-up {warmup:g}", updates, sweep[rate, warmup])
    rate, warmup = min(sweep, key=lambda key: sweep[key].loss)
    best = {"learning_rate": rate, "warmup": warmup}
    swept = measure([Run("swept", size, updates, seed, best) for seed in seeds], root)
    show(f"(b) at its best, {rate:g} and {warmup:g}, {len(seeds)} seeds", updates, swept)
    for family in args.families:
        outcomes = []
        for fraction in args.fractions:
            run_updates = round(fraction * updates)
            runs = [Run("kepipe", size, run_updates, seed, {"base": {"family": family}}) for seed in seeds]
            outcomes.append(measure(runs, root))
            show(f"kepipe, {family}", run_updates, outcomes[-1])
        print(f"{family} to the loss of (b), {swept.loss:.3f}: {times_sooner(swept, outcomes)}", flush=True)
    shipped = updates * BATCH // (SHIPPED_ROWS * LENGTH)
    show(
        "(a) Trainer as shipped",
        shipped,
        measure([Run("shipped", size, shipped, seed) for seed in seeds], root),
    )


def main() -> None:
    """Print the tables, or one outcome as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=list(SIZES), default="mini")
    parser.add_argument("--updates", type=int, default=400, help=f"of (b), of {BATCH} tokens each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rates", type=float, nargs="+", default=[3e-4, 1e-3, 3e-3])
    parser.add_argument("--warmups", type=float, nargs="+", default=[0.0, 0.06])
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.125, 0.25, 0.5, 1.0])
    parser.add_argument("--families", nargs="+", default=["bert", "modernbert"], help="of kepipe's models")
    default_texts = (SAMPLE, *(TEXTS if "KEPIPE_DATA" in os.environ else ()))
    parser.add_argument("--texts", nargs="+", default=default_texts, help=f"{SAMPLE}, or files of `corpora`")
    parser.add_argument(
        "--ingredients", nargs="*", choices=list(INGREDIENTS), help="only these; all if none is named"
    )
    parser.add_argument("--data", type=Path, help="store shards and outcomes in this folder and reuse them")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        outcome = train_and_evaluate(Run(**json.loads(args.work)), args.data / "shards" / "out")
        print(json.dumps(asdict(outcome)))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = args.data or Path(folder)
        if not (root / "shards").exists():
            prepare(root, args.texts)
        print(f"{'':44}{'updates':>9}{'processor s':>12}{'wall s':>9}{'loss':>9}", flush=True)
        if args.ingredients is None:
            compare(args, root)
            return
        for name in args.ingredients or INGREDIENTS:
            runs = [Run("kepipe", args.size, args.updates, seed, INGREDIENTS[name]) for seed in args.seeds]
            updates = "time" if BUDGET_OF in INGREDIENTS[name] else args.updates
            show(name, updates, measure([with_budget(run, root) for run in runs], root))


if __name__ == "__main__":
    main()

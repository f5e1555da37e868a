"""Training speed on the device: tokens per second compared with Hugging Face's Trainer, and the cost of knowledge."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch

from kepipe.data.batch import Batch, TokenRows
from kepipe.models.assemble import fuse
from kepipe.models.base import Base, build
from kepipe.models.config import FusionConfig
from kepipe.models.transformer import Transformer
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.training.carried_states import CarriedStates
from kepipe.training.distributed import make_accelerator, parallelize, resolve_precision
from kepipe.training.loop import update
from kepipe.training.microbatches import MicroBatch
from tests.gpu.check import Check, Figures, Setting
from tests.gpu.descriptors import branches
from tests.support.rows import CLS, SEP, Ids
from tests.support.toy_training import EventRecorder, fit, settings


@dataclass(frozen=True)
class Size:
    """A published model, rows of its length, and how many there are in an update."""

    base: Mapping[str, Any]
    objective: str
    vocabulary: int
    length: int
    rows: int

    @property
    def tokens(self) -> int:
        return self.rows * self.length

    def learned(self) -> Objective:
        class Words(Ids):
            vocab_size = self.vocabulary
            ordinary = np.arange(25, self.vocabulary)

        return table.build(table.read(self.objective), cast(Tokenizer, Words()))

    def model(self) -> Transformer:
        return build(Base.model_validate(self.base), self.vocabulary, 0)

    def text(self, number: int) -> TokenRows:
        """Full rows of random tokens: no kernel has to skip anything."""
        rng = np.random.default_rng([9, number])
        tokens = rng.integers(25, self.vocabulary, (self.rows, self.length))
        tokens[:, 0], tokens[:, -1] = CLS, SEP
        zeros, at = np.zeros_like(tokens), np.broadcast_to(np.arange(self.length), tokens.shape)
        special = (at == 0) | (at == self.length - 1)
        words = np.where(special, -1, at)
        return TokenRows(tokens, zeros, zeros + 1, special, {"word": words}, zeros - 1, zeros)


FULL = {
    "BERT-base, 512": Size({"family": "bert", "size": "base"}, "mlm", 30522, 512, 64),
    "GPT-2 small, 1024": Size({"family": "gpt2", "size": "small"}, "causal-lm", 50257, 1024, 16),
}
TINY = {
    "BERT": Size({"family": "bert", "layers": 2, "hidden": 32, "heads": 2}, "mlm", 100, 16, 4),
    "GPT-2": Size({"family": "gpt2", "layers": 2, "hidden": 32, "heads": 2}, "causal-lm", 100, 16, 4),
}


def memory(setting: Setting) -> float:
    """The most that tensors took since the last call, in GiB; 0 on a CPU."""
    if not setting.on_gpu:
        return 0.0
    used = torch.cuda.max_memory_allocated(setting.device) / 2**30
    torch.cuda.reset_peak_memory_stats(setting.device)
    return used


def speeds(setting: Setting) -> Figures:
    """Of each model: ours, ours compiled if there is a GPU, and the Trainer's."""
    figures = Figures()
    for name, size in (TINY if setting.tiny else FULL).items():
        for how in ("plain", "compiled") if setting.on_gpu else ("plain",):
            memory(setting)
            found = ours(setting, size, f"{how}-{size.objective}", compiled=how == "compiled")
            figures |= {f"{name}, {how}, {what}": value for what, value in found.items()}
            figures[f"{name}, {how}, GiB"] = memory(setting)
        trainer = theirs(setting, size)
        figures[f"{name}, Trainer, tokens/s"] = trainer
        figures[f"{name}, Trainer, GiB"] = memory(setting)
        best = max(
            float(value)
            for key, value in figures.items()
            if key.startswith(name) and "Trainer" not in key and key.endswith("tokens/s")
        )
        figures[f"{name}, times the Trainer"] = best / trainer
    return figures


def ours(setting: Setting, size: Size, name: str, compiled: bool) -> dict[str, float]:
    """Tokens a second, MFU and the wait for data: medians of the records after the first two."""
    recorder = EventRecorder()
    steps = {"steps": 4, "log_every": 1} if setting.tiny else {"steps": 30, "log_every": 5}
    often = settings(
        batch_tokens=size.tokens,
        precision="auto",
        compile=compiled,
        eval_every=10_000,
        checkpoint_every=10_000,
        workers=1 if setting.tiny else 4,
        **steps,
    )
    fit(size.model(), size.learned(), size.text, often, setting.context(name, recorder))
    named = {
        "tokens/s": "tokens_per_second",
        "MFU": "model_flops_utilisation",
        "data wait": "data_wait_share",
    }
    return {
        what: float(np.median(list(recorder.metric(metric).values())[2:])) for what, metric in named.items()
    }


def theirs(setting: Setting, size: Size) -> float:
    """Tokens a second of transformers' Trainer, with SDPA and the fused AdamW, on batches that are ready."""
    import transformers as hf

    config = size.model().config
    sizes = {"vocab_size": size.vocabulary, "attn_implementation": "sdpa"}
    if config.stacks == "encoder":
        model: Any = hf.BertForMaskedLM(
            hf.BertConfig(
                hidden_size=config.hidden,
                num_hidden_layers=config.encoder_layers,
                num_attention_heads=config.heads,
                intermediate_size=config.feedforward,
                hidden_dropout_prob=0.0,
                attention_probs_dropout_prob=0.0,
                **sizes,
            )
        )
    else:
        model = hf.GPT2LMHeadModel(
            hf.GPT2Config(
                n_embd=config.hidden,
                n_layer=config.decoder_layers,
                n_head=config.heads,
                n_positions=size.length,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                bos_token_id=CLS,
                eos_token_id=SEP,
                **sizes,
            )
        )
    stamps: list[float] = []

    class Clock(hf.TrainerCallback):  # type: ignore[misc,name-defined]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            if setting.on_gpu:
                torch.cuda.synchronize()
            stamps.append(time.perf_counter())

    steps = 4 if setting.tiny else 20
    arguments = hf.TrainingArguments(
        output_dir=str(setting.folder / "trainer"),
        use_cpu=not setting.on_gpu,
        bf16=setting.on_gpu and resolve_precision("auto", setting.device) == "bf16",
        max_steps=steps,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        per_device_train_batch_size=size.rows,
        optim="adamw_torch_fused",
        disable_tqdm=True,
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one, as ours: else it spreads each batch over all there are
    hf.Trainer(
        model=model, args=arguments, train_dataset=ready_rows(size, steps), callbacks=[Clock()]
    ).train()
    return size.tokens / float(np.median(np.diff(stamps)[1:]))


def ready_rows(size: Size, batches: int) -> list[dict[str, Any]]:
    """Rows as the Trainer takes them: hidden tokens with their labels, or the row itself."""
    learned, examples = size.learned(), []
    for number in range(batches):
        batch = learned.collate(size.text(number), np.random.default_rng(number), 0.0)
        labels = torch.full_like(batch.tokens, -100)
        if size.objective == "causal-lm":
            labels = batch.tokens
        else:
            assert batch.label_positions is not None
            assert batch.labels is not None
            labels.view(-1)[batch.label_positions] = batch.labels
        examples += [{"input_ids": t, "labels": row} for t, row in zip(batch.tokens, labels, strict=True)]
    return examples


def knowledge(setting: Setting) -> Figures:
    """A step with injected triples, and one that fuses entity vectors, over a plain one of as many tokens."""
    size = next(iter((TINY if setting.tiny else FULL).values()))
    plain = size.learned().collate(size.text(0), np.random.default_rng(0), 0.0)
    branch_BT, mention_BT = branches(size.rows, size.length)
    injected = replace(plain, branch=branch_BT, mention=mention_BT)
    width = 32 if setting.tiny else 100
    linked_BT = torch.where(torch.arange(size.length) % 12 == 3, 1 + torch.arange(size.length) % 50, 0)
    vectors_ME = torch.randn(51, width, generator=torch.Generator().manual_seed(0))
    vectors_ME[0] = 0
    fused = replace(plain, entities=linked_BT.expand(size.rows, -1).contiguous(), entity_vectors=vectors_ME)
    base = seconds(setting, size, size.model(), plain)
    figures: Figures = {"plain, ms": 1e3 * base}
    figures["K-BERT over plain"] = seconds(setting, size, size.model(), injected) / base
    if setting.on_gpu:
        flex = seconds(setting, size, size.model(), injected, flex=True)
        figures["K-BERT with block masks over plain"] = flex / base
    fusion = FusionConfig(first=1, hidden=width, heads=4)
    figures["ERNIE over plain"] = seconds(setting, size, fuse(size.model(), fusion, 0)[0], fused) / base
    return figures


def seconds(setting: Setting, size: Size, model: Transformer, batch: Batch, flex: bool = False) -> float:
    """Of an update, the median after the first ones."""
    accelerator = make_accelerator(resolve_precision("auto", setting.device), setting.device)
    inner, loss_module, optimizer = parallelize(accelerator, model, settings(), setting.folder / "knowledge")
    inner.set_flex_attention("always" if flex else "never")
    criterion = size.learned().criterion
    part = MicroBatch(batch, criterion.counts(batch), size.tokens, 0)
    stamps = []
    for _ in range(4 if setting.tiny else 15):
        update(accelerator, loss_module, optimizer, criterion, [part], CarriedStates(), 1.0)
        if setting.on_gpu:
            torch.cuda.synchronize()
        stamps.append(time.perf_counter())
    return float(np.median(np.diff(stamps)[1:]))


CHECKS = (
    Check("knowledge", "what a step with K-BERT's trees and with ERNIE's vectors costs", knowledge),
    Check("speed", "tokens a second, MFU, data wait and memory, beside the Trainer", speeds),
)

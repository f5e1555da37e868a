"""The settings of training, as the YAML has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.config import Duration, Section, runtime_only

OptimizerName = Literal["adamw", "muon", "adafactor", "adagrad"]
"""A row of `kepipe.training.optimizer.OPTIMIZERS`."""
RAMP_STAGES = 4
"""Number of batch sizes in a batch ramp, including the full one."""


TRAINING_FIGURES = (
    "loss", "loss_*", "gradient_norm", "learning_rate", "tokens_per_second", "model_flops_utilisation",
    "data_wait_share",
)  # fmt: skip
"""Metrics that the loop logs for any model; `*` stands for the terms of a loss."""


class TrainingSettings(Section):
    """Steps, batch, optimiser, precision, processes, evaluation and checkpoints."""

    renamed: ClassVar[Mapping[str, str]] = {
        "clip": "max_grad_norm",
        "recompute": "gradient_checkpointing",
        "blocks": "flex_attention",
        "keep": "keep_last",
    }

    steps: int = Field(1000, ge=0)
    """Number of updates of the weights; 0: the model stays as it starts, as an arm to compare with."""
    budget: Duration | None = Field(None, gt=0)
    """Wall-clock time to train, such as `10m`, instead of `steps`. The learning rate and everything else that changes
    during training follows the share of the budget used; evaluation and checkpoints count. An interrupted run continues
    with the time that is left. The number of updates differs from run to run."""
    optimizer: OptimizerName = "adamw"
    """adamw; muon, for the matrices of layers, with AdamW for all other weights; adafactor, whose steps are relative to
    the weights, T5's; or adagrad, ELMo's."""
    batch_tokens: int = Field(8192, ge=1)
    """Tokens per update, over all processes and accumulated micro-batches."""
    accumulate: int = Field(1, ge=1)
    """Gradient accumulation: the number of micro-batches per update, computed one after the other or spread over
    processes, to save memory. The number of processes does not change the result."""
    batch_ramp: float = Field(0.0, ge=0, lt=1)
    """Share of the training over which the batch grows, by doubling the number of micro-batches per update up to
    `accumulate`, from an eighth of it (or as far as it can be halved)."""
    learning_rate: float = Field(5e-4, gt=0)
    """Peak learning rate, reached after the warm-up."""
    warmup: float = Field(0.06, ge=0)
    """Steps over which the learning rate rises from 0; below 1, a share of the training."""
    schedule: Literal["linear", "cosine", "inverse-sqrt", "flat-inverse-sqrt", "constant", "wsd"] = "linear"
    """How the learning rate decays after the warm-up; wsd (warm-up, stable, decay): only in the last fifth of the
    training; flat-inverse-sqrt: as inverse-sqrt, but the warm-up has the peak learning rate throughout. A one-cycle
    schedule is `linear` with `warmup: 0.5`."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of matrices; vectors (biases, norms) are not decayed. With adagrad an L2 term of the loss."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's coefficients of the running means of gradients and of their squares."""
    epsilon: float = Field(1e-6, gt=0)
    """AdamW's term in the denominator."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients are clipped to this norm; 0: no clipping."""
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Number format of matrix products. auto: bf16 if the processor or GPU computes it natively, else fp16 on a GPU
    that has it, else fp32. tf32: fp32 whose factors an NVIDIA GPU rounds to 10 bits."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, a third more time."""
    compile: bool | Literal["auto"] = "auto"
    """Compile the layers with torch.compile, which needs a C++ compiler and pays off after some hundred steps. A run
    that was interrupted continues with the same result up to rounding. auto: transformers on an NVIDIA GPU,
    where there is a compiler, in trainings of 500 steps or 10 minutes and more. Where batches have few shapes, each is
    compiled by itself."""
    processes: int = runtime_only(1, ge=1)
    """Processes that share the micro-batches of each update, one per GPU. The result is the same up to rounding, so a
    run may continue on another number of processes."""
    parallel: Literal["ddp", "fsdp2"] = runtime_only("ddp")
    """ddp: each process has the whole model; fsdp2: each has a shard of the weights, for models that do not fit on one
    GPU."""
    flex_attention: bool | Literal["auto"] = runtime_only("auto")
    """On a GPU, do not compute what is masked: packed rows with `document_mask` document by document, else by blocks
    (FlexAttention), as for injected triples, with a kernel for each length of rows. Needs dropout 0. auto: packed rows
    on an NVIDIA GPU, where the model allows it."""
    workers: int = runtime_only(1, ge=1)
    """Threads that prepare batches ahead of the model."""
    log_every: int = Field(10, ge=1)
    """Steps between two log records."""
    eval_every: int = Field(100, ge=1)
    """Steps between two evaluations on held-out text."""
    eval_tokens: int = Field(32768, ge=1)
    """Tokens of held-out text per evaluation."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between two checkpoints."""
    async_checkpoints: bool | Literal["auto"] = runtime_only("auto")
    """Write checkpoints in the background, from a copy in the CPU's memory; auto: if the model is not on the CPU. A run
    that is killed meanwhile continues from the previous checkpoint."""
    keep_last: int = Field(2, ge=1)
    """Number of latest checkpoints that are kept; an older one replaces a damaged one."""
    keep_best: int = Field(0, ge=0)
    """Number of checkpoints with the lowest held-out losses that are kept as well."""
    final: Literal["last", "best"] = "last"
    """The weights of the final model: the last ones, or those with the lowest held-out loss."""
    patience: int | None = Field(None, ge=1)
    """Early stopping: evaluations without a lower held-out loss after which training stops; null: never."""

    def not_written(self) -> Collection[str]:
        """See `Section`: `steps`, if there is a budget."""
        return () if self.budget is None else ("steps",)

    @model_validator(mode="after")
    def _fit_together(self) -> TrainingSettings:
        if self.batch_tokens % self.accumulate:
            raise ValueError(
                f"batch_tokens ({self.batch_tokens}) must be a multiple of accumulate ({self.accumulate})"
            )
        if self.accumulate % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the parts of an update evenly: "
                f"set accumulate ({self.accumulate}) to a multiple of {self.processes}"
            )
        if self.batch_ramp and self.accumulate % 2:
            raise ValueError(
                "batch_ramp needs an even number of parts to begin with fewer: set accumulate to 8"
            )
        if self.ramp()[0] % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the {self.ramp()[0]} parts of the first updates: set "
                f"accumulate ({self.accumulate}) to {8 * self.processes}, or leave batch_ramp out"
            )
        if self.optimizer == "adafactor" and self.parallel == "fsdp2":
            raise ValueError(
                "adafactor is not implemented for fsdp2: set `parallel: ddp`, or another `optimizer`"
            )
        if self.budget is not None and "steps" in self.model_fields_set:
            raise ValueError("steps and budget are mutually exclusive: remove one of them")
        if self.warmup >= 1 and (self.warmup != int(self.warmup) or self.budget is not None):
            steps = "" if self.budget is not None else " or a whole number of steps"
            raise ValueError(f"warmup ({self.warmup}) must be a share below 1{steps}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must lie in 0..1, 1 excluded")
        return self

    def warmup_share(self) -> float:
        """The warm-up as a share of the training (a whole number of `steps`)."""
        if self.budget is not None:
            return self.warmup
        return int(self.warmup if self.warmup >= 1 else self.warmup * self.steps) / max(1, self.steps)

    def ramp(self) -> list[int]:
        """Micro-batches per update in each stage of the batch ramp, the full number last."""
        parts = [self.accumulate]
        while self.batch_ramp and len(parts) < RAMP_STAGES and parts[0] % 2 == 0:
            parts.insert(0, parts[0] // 2)
        return parts

    def parts_at(self, share: float) -> int:
        """Micro-batches per update when this share of the training is done."""
        *growing, full = self.ramp()
        return growing[int(share / self.batch_ramp * len(growing))] if share < self.batch_ramp else full

    def num_best_checkpoints(self) -> int:
        """How many checkpoints of the lowest held-out losses are kept: `keep_best`, or 1 for `final: best`."""
        return max(self.keep_best, 1 if self.final == "best" else 0)

    def actions_at(self, step: int, last: bool) -> frozenset[Literal["record", "measure", "save"]]:
        """What to do after `step` updates; `last`: whether the training ends there. Measuring and saving imply
        recording."""
        actions: set[Literal["record", "measure", "save"]] = set()
        if last or step % self.eval_every == 0:
            actions.add("measure")
        if not last and step % self.checkpoint_every == 0:
            actions.add("save")
        if actions or step % self.log_every == 0:
            actions.add("record")
        return frozenset(actions)

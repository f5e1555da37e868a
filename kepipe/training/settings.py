"""The settings of a training, as the YAML has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.config import Duration, Section, runtime_only

OptimizerName = Literal["adamw", "muon"]
"""A row of `kepipe.training.optimizer.OPTIMIZERS`."""
RAMP_STAGES = 4
"""Sizes of an update in a batch ramp, the full one included."""


TRAINING_FIGURES = (
    "loss", "loss_*", "gradient_norm", "learning_rate", "tokens_per_second", "model_flops_utilisation",
    "data_wait_share",
)  # fmt: skip
"""What the loop logs, whatever it trains; `*` stands for the terms of a loss."""


class TrainingSettings(Section):
    """How long, how fast and how carefully to train."""

    renamed: ClassVar[Mapping[str, str]] = {
        "clip": "max_grad_norm",
        "recompute": "gradient_checkpointing",
        "blocks": "flex_attention",
        "keep": "keep_last",
    }

    steps: int = Field(1000, ge=0)
    """Updates of the weights; 0: none, so that the model stays what it starts from, as an arm to compare with."""
    budget: Duration | None = Field(None, gt=0)
    """Time to train, such as `10m`, in place of `steps`: the learning rate, and all else that changes while a model
    learns, goes by the share of it that is used. Measurements and checkpoints count. A training that is interrupted
    goes on with the time that is left, but how many updates fit into it differs from run to run."""
    optimizer: OptimizerName = "adamw"
    """adamw; or muon, which takes care of the layers' matrices, and leaves all else to AdamW."""
    batch_tokens: int = Field(8192, ge=1)
    """Tokens that make up one update, over all processes."""
    accumulate: int = Field(1, ge=1)
    """Parts that an update's batch is made of, one after the other or spread over processes: less memory. Rows are
    drawn part by part; how many processes share the parts changes nothing."""
    batch_ramp: float = Field(0.0, ge=0, lt=1)
    """Share of the training over which the parts of an update become more, from an eighth of `accumulate`, or what it
    can be halved to, by doubling: small updates first, when any will do."""
    learning_rate: float = Field(5e-4, gt=0)
    """The highest rate, reached after the warm-up."""
    warmup: float = Field(0.06, ge=0)
    """Steps over which the rate rises from 0; below 1, a share of the training."""
    schedule: Literal["linear", "cosine", "inverse-sqrt", "constant", "wsd"] = "linear"
    """How the rate falls after the warm-up; wsd: not until the last fifth of the training (warm-up, stable, decay). A
    one-cycle schedule is `linear` with `warmup: 0.5`."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of the matrices; vectors (biases, norms) do not decay."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's memory of gradients and of their squares."""
    epsilon: float = Field(1e-6, gt=0)
    """AdamW's floor of the denominator."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Largest norm of the gradient; 0 does not clip."""
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Number format of matrix products; auto: bf16 where the processor or GPU computes it natively, fp16 on a GPU that
    does that alone, else fp32. tf32: fp32, of which an NVIDIA GPU rounds the factors to 10 bits."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass (gradient checkpointing): less memory, a third more time."""
    compile: bool = False
    """Compile the model (torch.compile), which needs a C++ compiler: pays after some hundred steps. A training that was
    interrupted goes on as it would have but for rounding."""
    processes: int = runtime_only(1, ge=1)
    """Processes that share each update's parts, one a GPU; the result is the same but for rounding, so that a training
    may continue on another number of them."""
    parallel: Literal["ddp", "fsdp2"] = runtime_only("ddp")
    """How processes share the model: each has all of it (DDP), or each a part, and fetches the others' when it needs
    them (FSDP2: for models that do not fit on one GPU)."""
    flex_attention: bool = runtime_only(False)
    """On a GPU, skip what nobody sees (FlexAttention's block masks): for long rows whose documents are kept apart, and
    for injected triples; without dropout."""
    workers: int = runtime_only(1, ge=1)
    """Threads that prepare batches ahead of the model."""
    log_every: int = Field(10, ge=1)
    """Steps between two records of the loss."""
    eval_every: int = Field(100, ge=1)
    """Steps between two measurements on the held-out text."""
    eval_tokens: int = Field(32768, ge=1)
    """Tokens of held-out text that a measurement reads."""
    checkpoint_every: int = Field(100, ge=1)
    """Steps between two checkpoints."""
    keep_last: int = Field(2, ge=1)
    """Latest checkpoints that are kept: an older one stands in for a damaged one."""
    keep_best: int = Field(0, ge=0)
    """Checkpoints of the lowest held-out loss that are kept besides."""
    final: Literal["last", "best"] = "last"
    """Weights the model ends with: the last ones, or those of the lowest held-out loss."""
    patience: int | None = Field(None, ge=1)
    """Measurements without a lower held-out loss after which training stops; none: train all steps."""

    def not_written(self) -> Collection[str]:
        """See `Section`: the steps beside a budget."""
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
        if self.budget is not None and "steps" in self.model_fields_set:
            raise ValueError("steps and budget both say how long to train: leave one of them out")
        if self.warmup >= 1 and (self.warmup != int(self.warmup) or self.budget is not None):
            steps = "" if self.budget is not None else " or a whole number of steps"
            raise ValueError(f"warmup ({self.warmup}) must be a share below 1{steps}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas {self.betas} must lie in 0..1, 1 excluded")
        return self

    def warmup_share(self) -> float:
        """The warm-up as a share of the training; of `steps`, whole ones."""
        if self.budget is not None:
            return self.warmup
        return int(self.warmup if self.warmup >= 1 else self.warmup * self.steps) / max(1, self.steps)

    def ramp(self) -> list[int]:
        """How many parts an update has, one stage of the batch ramp after the other."""
        parts = [self.accumulate]
        while self.batch_ramp and len(parts) < RAMP_STAGES and parts[0] % 2 == 0:
            parts.insert(0, parts[0] // 2)
        return parts

    def parts_at(self, share: float) -> int:
        """Parts of an update when this share of the training is done."""
        *growing, full = self.ramp()
        return growing[int(share / self.batch_ramp * len(growing))] if share < self.batch_ramp else full

    def keeps_best(self) -> int:
        """How many of the best checkpoints have to stay."""
        return max(self.keep_best, 1 if self.final == "best" else 0)

    def actions_at(self, step: int, last: bool) -> frozenset[Literal["record", "measure", "save"]]:
        """What has to be done after `step` updates, the `last` of them or not; to measure and to save always means to
        record as well."""
        actions_at: set[Literal["record", "measure", "save"]] = set()
        if last or step % self.eval_every == 0:
            actions_at.add("measure")
        if not last and step % self.checkpoint_every == 0:
            actions_at.add("save")
        if actions_at or step % self.log_every == 0:
            actions_at.add("record")
        return frozenset(actions_at)

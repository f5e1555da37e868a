"""Memory and time of attention over long rows, on one core: `python -m tests.benchmarks.attention [LENGTH …]`.

One step, forward and backward, of BERT-mini's encoder over 8,192 tokens in bf16: the memory that it adds at its peak,
and its processor time. Compared are kepipe with explicit matrix products ("explicit", its choice up to
`attention.EXPLICIT_LIMIT`) and with torch's fused kernel, and transformers with `eager` and `sdpa`. Each is measured
in a separate process, which prints its result as one line of JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor

TOKENS, VOCABULARY = 8192, 16384
WAYS = ("explicit", "fused", "eager", "sdpa")


def kepipe_encoder(length: int) -> Callable[[Tensor], Tensor]:
    """The encoder of kepipe's BERT-mini: tokens [B, T] → hidden states."""
    from kepipe.models.base import Base, build
    from kepipe.nn.visibility import documents

    model = build(Base(family="bert", size="mini", positions=length), VOCABULARY, 0).train()
    return lambda tokens_BT: model.encode_tokens(tokens_BT, documents(torch.ones_like(tokens_BT)))


def transformers_encoder(length: int, way: str) -> Callable[[Tensor], Tensor]:
    """The same encoder in transformers, with its attention implementation `way`."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
        max_position_embeddings=length,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation=way,  # type: ignore[call-arg]
    )
    model = BertModel(config, add_pooling_layer=False).train()
    return lambda tokens_BT: model(tokens_BT, torch.ones_like(tokens_BT)).last_hidden_state


def step(encode: Callable[[Tensor], Tensor], length: int, tokens: int) -> float:
    """One step over `tokens` tokens; seconds of processor time."""
    tokens_BT = torch.randint(
        VOCABULARY, (tokens // length, length), generator=torch.Generator().manual_seed(0)
    )
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16):
        hidden_BTD = encode(tokens_BT)
    hidden_BTD.float().square().mean().backward()  # type: ignore[no-untyped-call]
    return time.process_time() - start


def measure(way: str, length: int) -> dict[str, float]:
    """Peak memory of a step beyond that of the process before, in megabytes, and seconds of the faster of two steps."""
    torch.set_num_threads(1)
    limits = {"explicit": length * length, "fused": 0}
    if way in limits:
        from kepipe.nn import attention

        attention.EXPLICIT_LIMIT = limits[way]
    encode = kepipe_encoder(length) if way in limits else transformers_encoder(length, way)
    step(encode, 64, 128)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = min(step(encode, length, TOKENS) for _ in range(2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"megabytes": (peak - before) / 1e3, "seconds": seconds}


def main(lengths: list[int]) -> None:
    """Print a row for each length."""
    print(f"{'length':>6}", *(f"{way:>20}" for way in WAYS))
    for length in lengths:
        cells = []
        for way in WAYS:
            command = [sys.executable, "-m", "tests.benchmarks.attention", way, str(length)]
            process = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            result = json.loads(process.stdout.splitlines()[-1])
            cells.append(f"{result['megabytes']:>9,.0f} MB {result['seconds']:>5.1f} s")
        print(f"{length:>6}", *(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments and arguments[0] in WAYS:
        print(json.dumps(measure(arguments[0], int(arguments[1]))))
    else:
        main([int(argument) for argument in arguments] or [128, 512, 1024, 2048])

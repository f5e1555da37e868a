"""Two processes under torchrun, on one node or two: losses of one process, and checkpoints that either resumes, also
if one is killed while it writes its shard."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from kepipe.data.batch import TokenRows
from tests.support.ports import free_port
from tests.support.stateful_lstm import NEXT, StatefulLSTM, rows
from tests.support.toy_training import EventRecorder, context_in, fit, held_out_loss, settings

RUN = """
import json, os, signal, sys
from pathlib import Path
import torch
from tests.support import stateful_lstm
from tests.support.toy_training import MASKING, EventRecorder, context_in, fit
from tests.support.toy_training import held_out_loss, masking_mixture, toy_rows, settings, tiny
torch.set_num_threads(1)
folder, stop, changes = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
streams = sys.argv[4] == "streams"
objective = masking_mixture() if sys.argv[4] == "mixture" else stateful_lstm.NEXT if streams else MASKING
rows = stateful_lstm.rows if streams else toy_rows
measured = lambda number: rows(number if streams else 900 + number)

def dying(writer, plan, planner):
    # the second process is killed when the shards of step 8 are being written, and its own is
    done = written(writer, plan, planner)
    if "step-00000008" in str(writer.folder) and torch.distributed.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

if len(sys.argv) > 5:
    from kepipe.training.sharded_checkpoint import ShardWriter
    written, ShardWriter.write_data = ShardWriter.write_data, dying

def until(number):
    if number >= stop:
        raise KeyboardInterrupt
    return rows(number)

recorder, model = EventRecorder(), stateful_lstm.StatefulLSTM() if streams else tiny()
try:
    state = fit(model, objective, until, settings(**{"accumulate": 2, "log_every": 1} | changes),
        context_in(folder, recorder), held_out_loss(stateful_lstm.NEXT if streams else MASKING, measured, 2))
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    (folder / f"end-{rank}.json").write_text(json.dumps([state.step, state.micro_batches, state.seconds]))
except KeyboardInterrupt:
    pass
if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
    losses = {name: recorder.metric(name) for name in ("loss", "held_out_loss", "gradient_norm")}
    (folder / "losses.json").write_text(json.dumps(losses))
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def run(
    processes: int,
    folder: Path,
    stop: int = 1000,
    objective: str = "",
    nodes: int = 1,
    *,
    killed: bool = False,
    **changes: Any,
) -> dict[str, dict[str, float]]:
    """`processes` on each of `nodes`, which connect like machines and share the folder. `killed`: kill one of them."""
    folder.mkdir(exist_ok=True)
    script = folder / "run.py"
    script.write_text(RUN)
    program: list[str | Path] = [script, folder, str(stop), json.dumps(changes), objective]
    program += ["killed"] if killed else []
    torchrun = [
        "-m",
        "torch.distributed.run",
        f"--nproc-per-node={processes}",
        f"--log-dir={folder / 'logs'}",
    ]
    launchers = [[*torchrun, "--standalone"] if processes > 1 else []]
    if nodes > 1:
        meeting = [f"--nnodes={nodes}", "--master-addr=127.0.0.1", f"--master-port={free_port()}"]
        launchers = [[*torchrun, *meeting, f"--node-rank={node}"] for node in range(nodes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[3])}
    started = [
        subprocess.Popen(
            [sys.executable, *launcher, *program], stderr=subprocess.PIPE, text=True, env=environment
        )
        for launcher in launchers
    ]
    for one in started:
        _, errors = one.communicate()
        assert (one.returncode == 0) is not killed, errors
    if killed:
        return {}
    losses: dict[str, dict[str, float]] = json.loads((folder / "losses.json").read_text())
    return losses


def agree(found: dict[str, dict[str, float]], expected: dict[str, dict[str, float]]) -> None:
    for name, values in found.items():
        for step, value in values.items():
            assert value == pytest.approx(expected[name][step], rel=1e-4), f"{name} at step {step}"


def test_two_processes_have_the_losses_of_one_and_resume_each_other(tmp_path: Path) -> None:
    """FSDP2, killed while the shards of its second checkpoint are written in the background; one process; FSDP2 over
    two nodes. Dropout included: its random numbers belong to a batch, not to a process."""
    alone = run(1, tmp_path / "alone")
    chain = tmp_path / "chain"
    run(2, chain, killed=True, parallel="fsdp2", async_checkpoints=True)
    folders = sorted(folder.name for folder in (chain / "scratch/checkpoints").iterdir())
    assert folders == [".step-00000008.shards.unfinished", "step-00000004"]
    assert len([*(chain / "scratch/checkpoints/step-00000004/shards").iterdir()]) == 2
    one = run(1, chain, stop=20)
    last = run(1, chain, nodes=2, parallel="fsdp2")
    assert [min(map(int, part["loss"])) for part in (one, last)] == [5, 9], "after steps 4 and 8"
    assert max(map(int, last["loss"])) == 12
    for part in (one, last):
        agree(part, alone)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp2"])
def test_mixture_with_heads_unused_in_some_batches_trains_in_two_processes(
    tmp_path: Path, parallel: str
) -> None:
    """Batches of one update are of different objectives, and some updates use no next-sentence head at all."""
    alone = run(1, tmp_path / "alone", objective="mixture")
    two = run(2, tmp_path / "two", parallel=parallel, objective="mixture")
    assert len(two["loss"]) == len(alone["loss"]) == 12
    agree(two, alone)


@pytest.mark.parametrize("parallel", ["ddp", "fsdp2"])
def test_muon_with_batch_ramp_in_two_processes_has_the_losses_of_one(tmp_path: Path, parallel: str) -> None:
    growing = {"optimizer": "muon", "accumulate": 16, "batch_tokens": 2048, "batch_ramp": 0.5}
    chain = tmp_path / "chain"
    alone = run(1, tmp_path / "alone", **growing)
    two = run(2, chain, stop=40, parallel=parallel, **growing)
    rest = run(1, chain, **growing)
    assert set(two["loss"]) | set(rest["loss"]) == set(alone["loss"])
    assert len(two["loss"]) > 4
    for part in (two, rest):
        agree(part, alone)


def test_processes_agree_on_when_a_time_budget_ends(tmp_path: Path) -> None:
    """The clock of rank 0 counts; otherwise one process would wait for the other forever."""
    run(2, tmp_path, budget="2s", accumulate=16, batch_tokens=2048, batch_ramp=0.5)
    first, second = (json.loads((tmp_path / f"end-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert first[2] >= 2.0


def test_carried_states_of_two_processes_are_checkpointed_up_to_date(tmp_path: Path) -> None:
    """Stopped twice, so that a process's loaded state is older than another's current one."""
    how, recorder = settings(accumulate=2, log_every=1), EventRecorder()
    evaluator = held_out_loss(NEXT, rows, 2)

    def until(number: int) -> TokenRows:
        if number >= 18:
            raise KeyboardInterrupt
        return rows(number)

    with suppress(KeyboardInterrupt):
        fit(StatefulLSTM(), NEXT, until, how, context_in(tmp_path / "alone", recorder), evaluator)
    run(2, tmp_path / "shared", stop=10, objective="streams")
    found = run(2, tmp_path / "shared", stop=18, objective="streams")
    agree(
        found, {name: {str(step): value for step, value in recorder.metric(name).items()} for name in found}
    )
    place = Path("scratch/checkpoints/step-00000008/carried.safetensors")
    ours, theirs = (load_file(tmp_path / name / place) for name in ("alone", "shared"))
    assert ours.keys() == theirs.keys() == {"0.h", "0.c", "1.h", "1.c"}
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-4, atol=1e-5)

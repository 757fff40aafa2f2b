"""The README's line for two machines: two torchrun agents that share nothing but a port, with a folder each."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from vae_helpers.runs import Run, load_checkpoint, read_scalars

PROJECT = Path(__file__).resolve().parents[2]
TRAIN = "--limit 60 --image-size 32 --latent-dim 4 --widths 4,8,16 --preset quick --epochs 3 --batch-size 16"


def _free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return str(asked.getsockname()[1])


@pytest.fixture
def on_both(tmp_path):
    """Start a command on both "machines", the one of node rank 1 first; gives status and words of (0, 1)."""

    def start(ranks, *more):
        port, agents = _free_port(), {}
        for machine, rank in sorted(ranks.items(), key=lambda each: -each[1]):
            torchrun = f"torch.distributed.run --nnodes 2 --nproc-per-node 1 --node-rank {rank} --master-addr 127.0.0.1"
            command = f"{torchrun} --master-port {port} -m vae_helpers train {TRAIN} --device cpu --name mine".split()
            agents[machine] = subprocess.Popen(
                [sys.executable, "-m", *command, "--out", str(tmp_path / machine), *more],
                env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
                cwd=tmp_path,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            said = {machine: agent.communicate(timeout=200)[0] for machine, agent in agents.items()}
        finally:
            for agent in agents.values():
                agent.kill()
        return {machine: (agent.returncode, said[machine]) for machine, agent in agents.items()}

    return start


def test_a_run_on_two_machines_is_kept_on_the_first_and_goes_on_there(on_both, tmp_path):
    begun = on_both({"one": 0, "other": 1}, "--stop-after", "2")
    assert [status for status, _ in begun.values()] == [0, 0], begun
    run = Run("mine", tmp_path / "one")
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 2 and not (tmp_path / "other").exists()

    swapped = on_both({"one": 1, "other": 0}, "--resume")  # the first process looks where the run is not
    assert 0 not in {status for status, _ in swapped.values()}
    host = socket.gethostname()
    assert f"the run 'mine' is not on {host}, the machine of the first process" in swapped["other"][1]
    assert "is not on" not in swapped["one"][1]  # one speaks for all
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 2 and not (tmp_path / "other").exists()

    ended = on_both({"one": 0, "other": 1}, "--resume")
    assert [status for status, _ in ended.values()] == [0, 0], ended
    assert load_checkpoint(run.last)[1]["epochs_closed"] == 3
    assert read_scalars(run.tensorboard)["total/held_out"][0].tolist() == [1, 2, 3]

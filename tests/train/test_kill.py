"""SIGKILL at 50 instants, and what is resumed again and again ends as if nothing had happened.

The killing is done by a process of its own that has torch loaded, never trains, and forks the trainees: loading torch
50 times would take minutes, and a process whose autograd has run cannot be forked.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np
import pytest

PROJECT = Path(__file__).resolve().parents[2]
BY_CLOCK, INSIDE_SAVING = 28, 12  # of runs that save after every step
AS_USUAL = 10  # of runs that save as rarely as usual: none of them comes to its second regular checkpoint


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_fifty_kills_change_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "VAE_SAVE_EVERY": "0"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["kills"] == BY_CLOCK + INSIDE_SAVING + AS_USUAL
    assert report["inside_saving"] == INSIDE_SAVING + AS_USUAL // 2  # the clock may have hit it, too
    assert report["steps"] == [24] and report["compared"] > 200
    assert report["different"] == {} and report["leftovers"] == []


def _train(folder, name):
    """One trainee: a tiny model on a tiny set, resumed if it has a checkpoint, saving after every step or as usual."""
    import torch

    from vae_helpers.data import open_pictures
    from vae_helpers.model import VAEConfig
    from vae_helpers.runs import Run
    from vae_helpers.settings import TrainConfig
    from vae_helpers.train import fit

    torch.set_num_threads(1)
    if name.startswith("usual"):
        os.environ["VAE_SAVE_EVERY"] = "120"
    pictures = open_pictures("butterflies", 32, limit=60, cache_dir=Path(folder, "cache"), progress=False)
    run = Run(name, folder)
    config = TrainConfig.quick(48, epochs=4, batch_size=8, pictures_every=4, ema=0.9, flip=True)
    fit(pictures, run, config, VAEConfig(32, 4, (4, 8, 8)), device="cpu", progress=False, resume=run.exists())


def _fork(folder, name, kill_at_call=None):
    """Start a trainee; with `kill_at_call` it kills itself at that call of the system while saving."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        if kill_at_call is not None:
            _die_while_saving(kill_at_call)
        _train(folder, name)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _die_while_saving(countdown):
    """Replace what saving asks of the system by calls that count, the last of which never returns.

    torch.save is cut in the middle of its file, too.
    """
    import torch

    left = [countdown]

    def deadly(function, after):
        def call(*arguments, **options):
            left[0] -= 1
            if left[0] == 0 and after:
                function(*arguments, **options)
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    def torn(content, file):
        left[0] -= 1
        if left[0] == 0:
            file.write(b"PK\3\4 half a checkpoint")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return save(content, file)

    save, torch.save = torch.save, torn
    os.fsync, os.replace = deadly(os.fsync, after=False), deadly(os.replace, after=True)


def _outcome(folder, name):
    """Every tensor and number that a run leaves, by name."""
    import torch

    from vae_helpers.runs import Run, read_scalars

    run, flat = Run(name, folder), {}

    def walk(value, where):
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{where}/{key}")
        elif isinstance(value, (list, tuple)):
            for place, inner in enumerate(value):
                walk(inner, f"{where}/{place}")
        else:
            flat[where] = value.numpy() if isinstance(value, torch.Tensor) else value

    for file in (run.last, run.best):
        walk(torch.load(file, weights_only=True), file.name)
    for tag, (epochs, values) in read_scalars(run.tensorboard).items():
        if tag != "images_per_second":
            flat[f"log/{tag}"] = np.stack([epochs, values])
    return flat


def _differences(one, other):
    return [
        key
        for key in one.keys() | other.keys()
        if key not in one or key not in other or not np.array_equal(one[key], other[key])
    ]


def _finish(folder, name):
    """Let a trainee end by itself."""
    assert os.waitstatus_to_exitcode(os.waitpid(_fork(folder, name), 0)[1]) == 0


def _plan(rng):
    """Kills to come, (kind of trainee, place inside saving or None for one by the clock); the last comes first."""
    half = AS_USUAL // 2
    usual = [("usual", kill) for kill in [None] * (AS_USUAL - half) + [int(n) for n in rng.integers(1, 13, half)]]
    often = [("killed", kill) for kill in [None] * BY_CLOCK + [int(n) for n in rng.integers(1, 40, INSIDE_SAVING)]]
    rng.shuffle(often)
    return usual + often


def _kill_all(folder, plan, rng, whole_time):
    """Carry out the plan; returns how many were killed, how many of them inside saving, and who came to an end."""
    kills = inside = number = 0
    ended = set()
    while plan:
        kind, kill = plan[-1]
        name = f"{kind}{number}"
        child = _fork(folder, name, kill)
        if kill is None:
            time.sleep(rng.uniform(0, 0.6 * whole_time))
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == -signal.SIGKILL:
            plan.pop()
            inside += kill is not None
            kills += 1
        elif code == 0:  # it was faster than its death: the run is over, the next one has its turn
            ended.add(name)
            number += 1
        else:
            raise SystemExit(f"resuming {name} failed after {kills} kills")
    return kills, inside, ended


def _kill_again_and_again(folder):
    import torch

    import vae_helpers.train  # noqa: F401 (loaded here once, instead of in each child)
    from vae_helpers.runs import Run

    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])  # loads most of torch's compiler

    rng = np.random.default_rng(0)
    _finish(folder, "draws_the_pictures")
    began = time.monotonic()
    _finish(folder, "whole")
    whole_time = time.monotonic() - began
    truth = _outcome(folder, "whole")
    kills, inside, ended = _kill_all(folder, _plan(rng), rng, whole_time)
    for last in {path.name for path in Path(folder, "models").iterdir()} - ended:
        _finish(folder, last)
        ended.add(last)
    outcomes = {name: _outcome(folder, name) for name in sorted(ended)}
    report = {
        "kills": kills,
        "inside_saving": inside,
        "compared": len(truth),
        "steps": sorted({int(outcome["last.pt/step"]) for outcome in outcomes.values()}),
        "leftovers": [str(file) for name in ended for file in Run(name, folder).models.glob(".*.tmp")],
        "different": {name: keys for name, outcome in outcomes.items() if (keys := _differences(truth, outcome))},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    _kill_again_and_again(sys.argv[1])

"""Training on all GPUs from a notebook: torchrun as a child process, one process a GPU."""

from __future__ import annotations

import codecs
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError
from vae_helpers.files import only_user
from vae_helpers.model import VAEConfig, held_out_loss, pick_device
from vae_helpers.runs import Run, as_in_run, load_latest, load_run
from vae_helpers.scores import evaluate
from vae_helpers.settings import TrainConfig
from vae_helpers.train.saving import require_free
from vae_helpers.train.scoring import FitResult

MARK = "vae_helpers: "  # begins the line in which a child process says why it stopped


def launch(
    pictures: PictureSet,
    run: Run,
    config: TrainConfig | None = None,
    model_config: VAEConfig | None = None,
    *,
    processes: int | None = None,
    device: str | None = None,
    resume: bool = False,
    progress: bool = True,
    other_pictures: bool = False,
) -> FitResult:
    """Do what `fit` does in `processes` child processes (default: one a GPU); what they print is printed here.

    A notebook's own process can't be one of them: it may have used its GPU already, and must not be forked then.
    Ctrl-C (■) asks them to save and end. Raises InputError for what `fit` refuses.
    """
    require_free(run, resume)
    if pictures.request is None:
        raise InputError(
            "these pictures were not opened by open_pictures, so child processes cannot open them: use fit."
        )
    cache = None if pictures.cache is None else str(pictures.cache.parent.resolve())
    job = {
        "request": pictures.request | {"cache_dir": cache, "progress": False},
        "name": run.name,
        "out": str(run.root.resolve()),
        "config": config and asdict(config),
        "model": model_config and model_config.as_dict(),
        "device": device,
        "resume": resume,
        "progress": progress,
        "other_pictures": other_pictures,
    }
    _train_in_children(job, processes or max(1, torch.cuda.device_count()))
    return _result(pictures, run, pick_device(device))


def _train_in_children(job: dict, processes: int) -> None:
    """Start torchrun and wait for its end; raises InputError with the sentence of a child that refused."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "job.json")
        file.write_text(json.dumps(job))
        torchrun = ["vae_helpers.train.torchrun", "--nproc-per-node", str(processes)]
        child = ["vae_helpers.train.child", str(file)]
        with only_user(file.with_name("alive")):  # held for as long as this process lives: the children look at it
            problem = _run([sys.executable, "-m", *torchrun, "-m", *child])
    if problem is not None:
        raise InputError(problem)


def _result(pictures: PictureSet, run: Run, device: torch.device) -> FitResult:
    model, saved = load_run(run, device)
    pictures = as_in_run(pictures, run.name, saved["data"], other_pictures=True)  # the children have refused others
    rows, loss = pictures.split.validation, held_out_loss(saved["train_config"])
    scores = evaluate(model, pictures.pictures, rows, **loss)
    return FitResult(model, scores, load_latest(run)[1].get("finished", False))


def _run(command: list[str]) -> str | None:
    """Run `command`, passing on what it prints and Ctrl-C; returns None, or why it failed."""
    package = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    # In a session of its own, so that a Ctrl-C reaches it through us, once.
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=_within_this_machine() | os.environ | {"PYTHONPATH": paths},
    )
    said, stopped = "", False
    text_of = codecs.getincrementaldecoder("utf-8")("replace").decode  # a part may end in the middle of a character
    while True:
        try:
            part = child.stdout.read1(4096)  # type: ignore[attr-defined]
            text = text_of(part, final=not part)
            said = (said + text)[-20_000:]
            print(text, end="", flush=True)
            if not part:
                break
        except KeyboardInterrupt:
            if not stopped:  # torchrun takes a second signal for an order to drop everything
                child.send_signal(signal.SIGTERM)
            stopped = True
    status = child.wait()
    if status == 0 or stopped:  # a torchrun that was stopped says so by its status, though its processes ended well
        return None
    sentences = [line.removeprefix(MARK) for line in said.splitlines() if line.startswith(MARK)]
    return (
        sentences[-1]
        if sentences
        else (f"training in child processes failed with status {status}: what they printed says why.")
    )


def _within_this_machine() -> dict[str, str]:
    """Keeps gloo and NCCL from listening to the network, where the user has not chosen an interface."""
    own = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    return {"GLOO_SOCKET_IFNAME": own, "NCCL_SOCKET_IFNAME": own} if own else {}

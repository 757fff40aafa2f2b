"""Where a run's files live, and how a model goes to disk and comes back from the file alone."""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from vae_helpers.data import project_root
from vae_helpers.errors import InputError, advice, reason
from vae_helpers.files import expand, require_run_name, say, sync_folder
from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.runs.archive import Archive, DamagedFile, Unfit, foreign, unreadable
from vae_helpers.runs.schema import read_tensors, require_fields, tensors_in
from vae_helpers.settings import no_such_run, runs_in

FORMAT = "vae_helpers-1"
_WRONG_PLACE = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOENT,
    errno.ENAMETOOLONG,
)


class Saved(dict):
    """The entries of a checkpoint; asking by [] for one that it lacks is refused in a sentence."""

    def __init__(self, path: Path, entries: dict):
        super().__init__(entries)
        self.path = path

    def __missing__(self, name):
        raise InputError(
            f"{self.path} lacks {name!r}, so it can be looked at but not used for this: use another "
            "checkpoint, or train the run again."
        )

    def __reduce__(self):
        return Saved, (self.path, dict(self))


@dataclass(frozen=True)
class Run:
    """A named run and its four folders below `out` (default: VAE/ of the project)."""

    name: str
    out: Path | str = "VAE"

    def __post_init__(self):
        require_run_name(self.name)

    @property
    def root(self) -> Path:
        """The folder that holds models/, generated_images/, tensorboard/ and plots/."""
        out = expand(self.out)
        return out if out.is_absolute() else project_root() / out

    @property
    def models(self) -> Path:
        """Checkpoints: last.pt, previous.pt and best.pt."""
        return self.root / "models" / self.name

    @property
    def generated_images(self) -> Path:
        """Samples and reconstructions drawn during training."""
        return self.root / "generated_images" / self.name

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.root / "tensorboard" / self.name

    @property
    def plots(self) -> Path:
        """Figures and animations."""
        return self.root / "plots" / self.name

    @property
    def last(self) -> Path:
        """The newest state, to resume from."""
        return self.models / "last.pt"

    @property
    def previous(self) -> Path:
        """The state before the newest, should that one be damaged."""
        return self.models / "previous.pt"

    @property
    def best(self) -> Path:
        """The state with the lowest held-out loss, to look at."""
        return self.models / "best.pt"

    def on(self, pictures: str) -> Run:
        """Where files about this run on other pictures than its own go: never among its own."""
        return Run(f"{self.name}_on_{pictures}", self.out)

    def exists(self) -> bool:
        """Whether the run has left a checkpoint."""
        return any(path.is_file() for path in (self.last, self.previous, self.best))


def run_name(dataset: str, num_samples: int = 1, tag: str = "") -> str:
    """`{dataset}_ns_{num_samples}{_tag}`, the name of a run unless another is given."""
    return f"{dataset}_ns_{num_samples}{'_' + tag if tag else ''}"


def list_runs(out: Path | str = "VAE") -> list[str]:
    """Names of the runs below `out` that have a checkpoint, newest first; folders that cannot be runs are left out."""
    return runs_in(Run("x", out).models.parent)


def newest_run(out: Path | str = "VAE") -> str:
    """The name of the run below `out` whose checkpoint is newest."""
    names = list_runs(out)
    if not names:
        raise InputError(
            f"no run has been trained yet in {Run('x', out).root / 'models'}: run notebook 02, or "
            "`python -m vae_helpers tour`."
        )
    return names[0]


def save_checkpoint(path: Path, model: BetaVAE, keep: Path | None = None, **entries) -> None:
    """Write weights, the model's config and `entries` (plain types and tensors) to `path`, all or nothing.

    The file is written aside, flushed to disk and renamed, so a crash leaves the previous one whole; with `keep` the
    previous one stays under that name. Raises InputError with what went wrong.
    """
    aside, file = path.with_name(f".{path.name}.{os.getpid()}.tmp"), None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _Watched(io.FileIO(aside, "w")) as file:
            content = {"format": FORMAT, "config": model.config.as_dict(), "model": model.state_dict(), **entries}
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.is_file():
            os.replace(path, keep)  # a crash between the two leaves `keep` to resume from
        os.replace(aside, path)
        sync_folder(path.parent)
    except (OSError, RuntimeError) as problem:
        why, step = why_not_written(file and file.problem or problem)
        raise InputError(
            f"{path} could not be saved, because {why}; the checkpoint before it, if any, is untouched: {step}."
        ) from None
    finally:  # a Ctrl-C comes by here, too
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


class _Watched(io.BufferedWriter):
    """Keeps the OSError of a failed write, which torch.save turns into a RuntimeError about its zip file."""

    problem: OSError | None = None

    def write(self, data) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            self.problem = problem
            raise


def remove_leftovers(run: Run) -> None:
    """Delete what processes that were killed while saving have left aside."""
    for aside in run.models.glob(".*.pt.*.tmp"):
        with contextlib.suppress(OSError):
            aside.unlink()


def why_not_written(problem: Exception) -> tuple[str, str]:
    """Why a file of a run could not be written, and what to do: two parts of a sentence."""
    if not isinstance(problem, OSError):
        first_line = (str(problem).strip().splitlines() or [type(problem).__name__])[0].rstrip(".")
        return f"something else than the disk failed ({first_line})", "mend that and resume the run"
    if problem.errno in _WRONG_PLACE:
        return reason(problem), "give a folder that can be written (--out DIR, or `out` in Python)"
    return reason(problem), f"{advice(problem)} and resume the run"


def load_checkpoint(path: Path | str, device: str | torch.device = "cpu") -> tuple[BetaVAE, dict]:
    """Rebuild the model of a checkpoint on `device`, in eval mode; also the file's other entries.

    The whole file is held to `checkpoint_schema` before a byte of a tensor is read or allocated; a file that carries
    code is refused, and nothing in it is run. Entries are on the CPU, weights on `device`. Raises DamagedFile for a
    damaged file, InputError for a missing or foreign one, or a field that cannot be.
    """
    path = Path(path)
    config, content = _read(path)
    with torch.random.fork_rng(devices=[]):  # don't advance the caller's random numbers
        model = BetaVAE(config)
    model.load_state_dict(content.pop("model"))
    return model.to(device).eval(), Saved(path, content)


def _read(path: Path, weights: bool = True) -> tuple[VAEConfig, dict]:
    """The model's config and the content of a file that the schema allows, with or without `weights` and their like."""
    try:
        with Archive(path) as archive:
            content = archive.content
            if not isinstance(content, dict) or content.get("format") != FORMAT:
                raise foreign(path)
            config = require_fields(content, archive)
            if not weights:
                content = {name: each for name, each in content.items() if name == "data" or not any(tensors_in(each))}
            return config, read_tensors(content, archive)
    except Unfit as why:
        raise InputError(
            f"{path} is refused, because {why}: the file was changed, or is from another version or "
            "program; use another checkpoint, or train the run again."
        ) from None


def read_about(*paths: Path | str) -> Saved:
    """What the first whole one of these checkpoints says besides its weights: settings, scores, pictures.

    It is held to the schema as a whole, but none of its weights is read, so it takes milliseconds. Raises as
    `load_checkpoint`.
    """
    return _first_whole(tuple(map(Path, paths)), lambda path: Saved(path, _read(path, weights=False)[1]))


def load_run(run: Run, device: str | torch.device = "cpu") -> tuple[BetaVAE, dict]:
    """The model of a run that people look at: the best checkpoint, or the last if there is no best yet.

    Where a run keeps a moving average of its weights, the average is what people look at.
    """
    if not run.exists():
        raise no_such_run(run.name, run.models.parent)
    model, saved = _first_whole((run.best, run.last, run.previous), lambda path: load_checkpoint(path, device))
    if saved.get("ema"):
        model.load_state_dict(saved["ema"])
    return model, saved


def load_latest(run: Run, device: str | torch.device = "cpu") -> tuple[BetaVAE, dict]:
    """The state to resume from: last.pt, or previous.pt (and a line that says so) where the last is damaged or gone.

    Where both are, best.pt is taken: weights and counts, without the optimiser.
    """
    return _first_whole((run.last, run.previous, run.best), lambda path: load_checkpoint(path, device))


def _first_whole(paths: tuple[Path, ...], load: Callable[[Path], Any]) -> Any:
    """The first of these checkpoints that is there and whole; a foreign file is refused, never skipped."""
    there = [path for path in paths if path.is_file()]
    damaged = []
    for path in there:
        try:
            found = load(path)
        except DamagedFile:
            damaged.append(path.name)
            continue
        if damaged:
            names = " and ".join(damaged)
            say(f"{names} in {path.parent} cannot be read (cut short or damaged), so {path.name} is used.")
        return found
    if len(damaged) > 1:
        raise DamagedFile(
            f"{' and '.join(damaged)} in {paths[0].parent} are {'both' if len(damaged) == 2 else 'all'} damaged: "
            "start a run with another name."
        )
    raise (
        unreadable(there[0], DamagedFile)
        if there
        else InputError(
            f"there is neither {paths[0].name} nor {paths[-1].name} in {paths[0].parent} to go on from: "
            "start a run with another name."
        )
    )

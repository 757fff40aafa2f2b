"""Where a run's files live, and how a model goes to disk and comes back from the file alone."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import torch

from vae_helpers.data import project_root
from vae_helpers.disk import say, sync_folder
from vae_helpers.errors import InputError
from vae_helpers.model import BetaVAE, VAEConfig

FORMAT = "vae_helpers-1"
_WRONG_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ENOENT,
                errno.ENAMETOOLONG)


class TornFile(InputError):
    """A checkpoint whose writing was cut, or whose bytes changed on the disk: absent, where another is left."""


@dataclass(frozen=True)
class Run:
    """A named run and its four folders below `out` (default: VAE/ of the project)."""

    name: str
    out: Path | str = "VAE"

    def __post_init__(self):
        if not self.name or self.name in (".", "..") or any(c in self.name for c in "/\\:*?\"<>|\0"):
            raise InputError(f"{self.name!r} cannot name a run, because files are called after it: "
                             "use letters, digits, dots, dashes and underscores.")

    @property
    def root(self) -> Path:
        """The folder that holds models/, generated_images/, tensorboard/ and plots/."""
        return Path(self.out) if Path(self.out).is_absolute() else project_root() / self.out

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

    def exists(self) -> bool:
        """Whether the run has left a checkpoint."""
        return any(path.is_file() for path in (self.last, self.previous, self.best))


def run_name(dataset: str, num_samples: int = 1, tag: str = "") -> str:
    """`{dataset}_ns_{num_samples}{_tag}`, the name of a run unless another is given."""
    return f"{dataset}_ns_{num_samples}{'_' + tag if tag else ''}"


def list_runs(out: Path | str = "VAE") -> list[str]:
    """Names of the runs below `out` that have a checkpoint, newest first."""
    found = {}
    for pattern in ("*/last.pt", "*/previous.pt", "*/best.pt"):
        for file in (Run("x", out).root / "models").glob(pattern):
            found[file.parent.name] = max(found.get(file.parent.name, 0.0), file.stat().st_mtime)
    return sorted(found, key=found.get, reverse=True)


def newest_run(out: Path | str = "VAE") -> str:
    """The name of the run below `out` whose checkpoint is newest."""
    names = list_runs(out)
    if not names:
        raise InputError(f"no run has been trained yet in {Run('x', out).root / 'models'}: run notebook 02, or "
                         "`python -m vae_helpers tour`.")
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
        reason, advice = why_not_written(file and file.problem or problem)
        raise InputError(f"{path} could not be saved, because {reason}; the checkpoint before it, if any, is untouched: "
                         f"{advice}.") from None
    finally:  # a Ctrl-C comes by here, too
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


class _Watched(io.BufferedWriter):
    """Keeps the disk's own word on a failed write, of which torch.save makes a RuntimeError about its zip file."""

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
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full", "free some space and resume the run"
    if problem.errno == errno.EFBIG:
        return "the file is larger than this system lets it be", "raise that limit (ulimit -f) and resume the run"
    reason = problem.strerror or str(problem)
    if problem.errno in _WRONG_PLACE:
        return reason, "give a folder that can be written (--out DIR, or `out` in Python)"
    return reason, "mend that and resume the run"


def load_checkpoint(path: Path | str, device: str | torch.device = "cpu") -> tuple[BetaVAE, dict]:
    """Rebuild the model of a checkpoint on `device`, in eval mode; also the file's other entries.

    Only weights and plain types are read (`weights_only=True`): a file that carries code is refused unopened.
    Raises TornFile for a damaged file, InputError for a missing or foreign one.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"there is no checkpoint {path}: train a run first, or check the name.")
    _require_whole(path)
    try:
        with warnings.catch_warnings():  # about a foreign pickle's dialect; the sentences below say more
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as problem:
        if "weights_only" in str(problem).lower() or "unsupported" in str(problem).lower():
            raise InputError(f"{path} is refused, because it carries code besides weights, which loading would run: "
                             "use a checkpoint that this project wrote.") from None
        raise _unreadable(path) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile):
        raise _unreadable(path) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InputError(f"{path} is not a checkpoint of this project (its format mark {FORMAT!r} is missing): "
                         "train a run with notebook 02 or `python -m vae_helpers train`.")
    try:
        with torch.random.fork_rng(devices=[]):  # its first weights are thrown away: they must cost the session no dice
            model = BetaVAE(VAEConfig(**content["config"])).to(device)
        model.load_state_dict(content["model"])
    except (RuntimeError, TypeError, KeyError):
        raise InputError(f"{path} holds weights that do not fit its own description of the model: "
                         "the file was changed or is from another version; train the run again.") from None
    return model.eval(), {k: v for k, v in content.items() if k != "model"}


def load_run(run: Run, device: str | torch.device = "cpu") -> tuple[BetaVAE, dict]:
    """The model of a run that people look at: the best checkpoint, or the last if there is no best yet.

    Where a run keeps a moving average of its weights, the average is what people look at.
    """
    if not run.exists():
        known = ", ".join(list_runs(run.out)[:5]) or "none yet"
        raise InputError(f"there is no run {run.name!r} in {run.root / 'models'} (found: {known}): train it with "
                         f"notebook 02 or `python -m vae_helpers train --name {run.name}`.")
    model, saved = _first_whole((run.best, run.last, run.previous), device)
    if saved.get("ema"):
        model.load_state_dict(saved["ema"])
    return model, saved


def load_latest(run: Run, device: str | torch.device = "cpu") -> tuple[BetaVAE, dict]:
    """The state to resume from: last.pt, or previous.pt (and a line that says so) where the last is torn or gone.

    Where both are, best.pt is taken: weights and counts, without the optimiser.
    """
    return _first_whole((run.last, run.previous, run.best), device)


def _first_whole(paths: tuple[Path, ...], device: str | torch.device) -> tuple[BetaVAE, dict]:
    """The first of these checkpoints that is there and whole; a foreign file is refused, never skipped."""
    there = [path for path in paths if path.is_file()]
    torn = []
    for path in there:
        try:
            found = load_checkpoint(path, device)
        except TornFile:
            torn.append(path.name)
            continue
        if torn:
            say(f"{' and '.join(torn)} in {path.parent} cannot be read (cut short or damaged), so {path.name} is used.")
        return found
    if len(torn) > 1:
        raise TornFile(f"{' and '.join(torn)} in {paths[0].parent} are {'both' if len(torn) == 2 else 'all'} damaged: "
                       "start a run with another name.")
    raise _unreadable(there[0], TornFile) if there else InputError(
        f"there is neither {paths[0].name} nor {paths[-1].name} in {paths[0].parent} to go on from: "
        "start a run with another name.")


def _require_whole(path: Path) -> None:
    """Tell a file of ours that was cut short or changed on the disk from a foreign one, and refuse both.

    torch.load doesn't look at the check sums that torch.save wrote: a block that a power cut left as zeros would pass.
    """
    with open(path, "rb") as file:
        start = file.read(4)
    if start.strip(b"\0") and not b"PK\3\4".startswith(start):
        return  # no zip file: torch.load says what it is
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is None:
                return
    except (OSError, ValueError, EOFError, NotImplementedError, zipfile.BadZipFile):
        pass
    raise _unreadable(path, TornFile)


def _unreadable(path: Path, kind: type[InputError] = InputError) -> InputError:
    return kind(f"{path} cannot be read as a checkpoint, because the file is damaged, cut short or of another kind: "
                "use another checkpoint or train the run again.")

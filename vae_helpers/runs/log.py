"""What a run writes down: TensorBoard's event files and projector, and reading the same numbers back for a figure."""

from __future__ import annotations

import io
import os
import re
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard import summary as summaries

from vae_helpers.data import PictureSet
from vae_helpers.errors import InputError, printable
from vae_helpers.files import say, write_aside
from vae_helpers.latent import encode_pictures, reconstruct, sample_prior, walk
from vae_helpers.model import BetaVAE
from vae_helpers.runs.checkpoint import Run
from vae_helpers.show import tile, to_bytes

# Scores that `evaluate` may enter when a run is over. TensorBoard takes the columns of its HPARAMS page from the first
# run it finds, and of a run its first record only, so they are named while they have no values yet.
LATER_SCORES = (
    "ssim",
    "ms_ssim",
    "lpips",
    "fid",
    "kid",
    "elbo",
    "iwae",
    "bits_per_dimension",
    "mutual_information",
    "total_correlation",
    "mig",
    "modularity",
    "sap",
    "factor_vae",
    "beta_vae",
    "dci_disentanglement",
    "dci_completeness",
    "dci_informativeness",
)
_SPRITE = 8192  # pixels: the largest picture that browsers take as a texture
_CODES, _THUMBNAIL = 512, 64  # codes in the projector, and pixels a side of their pictures


class Logbook:
    """TensorBoard's log of one run; the step is the epoch, counted from 1.

    A run passes the first epoch it is about to write: TensorBoard then hides that one and later ones, which an
    interrupted process had still written, so no step appears twice. Without it records are added. A full disk costs
    lines of the log, said once, never the run: records are written at once and in this thread, where `SummaryWriter`'s
    would die of it with a traceback.
    """

    def __init__(self, folder: Path, first_epoch: int | None = None):
        self.folder = Path(folder)
        self._first_epoch = first_epoch
        self._file = None  # opened by the first record, so that a finished run that is resumed leaves no trace
        self._lost = False

    def scalars(self, epoch: int, values: dict[str, float]) -> None:
        """Write named numbers, for example `{"loss/train": 5012.3}`."""
        for name, value in values.items():
            self._write(epoch, summaries.scalar(name, float(value)))

    def histogram(self, epoch: int, name: str, values: np.ndarray) -> None:
        """Write the distribution of a set of numbers."""
        self._write(epoch, summaries.histogram(name, np.asarray(values), bins=64))

    def picture(self, epoch: int, name: str, picture: np.ndarray) -> None:
        """Write one uint8 (H, W, 3) picture, as JPEG: TensorBoard's check sums take a second for 5 MB."""
        image = Summary.Image(
            height=picture.shape[0],
            width=picture.shape[1],
            colorspace=3,
            encoded_image_string=to_bytes(picture, "jpeg"),
        )
        self._write(epoch, Summary(value=[Summary.Value(tag=name, image=image)]))

    def hyper_parameters(self, epoch: int, settings: dict, scores: dict[str, float]) -> None:
        """Write a run's settings and its final scores, which the HPARAMS page compares between runs.

        Written again, for a run that has them, it adds scores: of one name the newest counts.
        """
        plain = (bool, int, float, str)
        settings = {name: value if isinstance(value, plain) else str(value) for name, value in settings.items()}
        scores = {f"score/{name}": float(value) for name, value in scores.items()}
        columns = dict.fromkeys((*scores, *(f"score/{name}" for name in LATER_SCORES)), 0.0)
        for part in summaries.hparams(settings, columns):  # of `columns` the names alone are written
            self._write(None, part)
        for name, value in scores.items():
            self._write(epoch, summaries.scalar(name, value))

    def projector(self, codes: np.ndarray, names: Sequence[str], thumbnails: np.ndarray) -> None:
        """Write codes (N, latent_dim), their names and uint8 thumbnails (N, H, W, 3) for the PROJECTOR page."""
        side = int(np.ceil(np.sqrt(len(codes))))
        height, width = thumbnails.shape[1:3]
        step = max(1, -(-side * max(height, width) // _SPRITE))
        thumbnails = thumbnails[:, ::step, ::step]
        height, width = thumbnails.shape[1:3]
        sprite = np.zeros((side, side, height, width, 3), np.uint8)
        sprite.reshape(-1, height, width, 3)[: len(thumbnails)] = thumbnails
        config = (
            'embeddings {\n  tensor_name: "held_out"\n  tensor_path: "projector/codes.tsv"\n'
            '  metadata_path: "projector/names.tsv"\n  sprite {\n    image_path: "projector/sprite.png"\n'
            f"    single_image_dim: {width}\n    single_image_dim: {height}\n  }}\n}}\n"
        )
        with self.tolerate_full_disk():
            folder = self.folder / "projector"
            numbers = io.StringIO()
            np.savetxt(numbers, codes, fmt="%.5g", delimiter="\t")
            write_aside(folder / "codes.tsv", numbers.getvalue())
            write_aside(folder / "names.tsv", "".join(f"{printable(' '.join(name.split()))}\n" for name in names))
            sheet = sprite.swapaxes(1, 2).reshape(side * height, side * width, 3)
            write_aside(folder / "sprite.png", to_bytes(sheet, "png"))
            write_aside(self.folder / "projector_config.pbtxt", config)

    @contextmanager
    def tolerate_full_disk(self) -> Iterator[None]:
        """Survive a full or unwritable disk inside the block: the first time it is said, the run goes on."""
        try:
            yield
        except OSError as problem:
            if not self._lost:
                say(
                    f"The log and pictures of this run cannot be written for now ({problem.strerror or problem}), so "
                    f"{self.folder} will have gaps; training goes on."
                )
            self._lost = True

    def flush(self) -> None:
        """Make sure that the log survives a power cut up to here; a checkpoint must not run ahead of it."""
        if self._file is not None:
            with self.tolerate_full_disk():
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flush and close the event file."""
        self.flush()
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> "Logbook":
        return self

    def __exit__(self, *problem) -> None:
        self.close()

    def _write(self, epoch: int | None, summary: Summary) -> None:
        with self.tolerate_full_disk():
            if self._file is None:
                self._open()
            _append(self._file, Event(summary=summary, wall_time=time.time(), step=epoch))

    def _open(self) -> None:
        """Start a file that sorts after those of earlier sessions: readers take the files of a folder by name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Cloud drives and people leave copies under names of their own: "events.out.tfevents.1700000000 (1).host.1".
        names = (
            re.match(r"events\.out\.tfevents\.(\d{1,19})\b", file.name, re.ASCII) for file in self.folder.iterdir()
        )
        earlier = [int(name[1]) for name in names if name]
        second = max([int(time.time()), *(s + 1 for s in earlier)])
        path = self.folder / f"events.out.tfevents.{second:010d}.{socket.gethostname()}.{os.getpid()}"
        file = open(path, "wb", buffering=0)
        try:
            _append(file, Event(wall_time=time.time(), file_version="brain.Event:2"))
            if self._first_epoch is not None and earlier:
                start = SessionLog(status=SessionLog.START)  # its step tells a reader what to hide
                _append(file, Event(wall_time=time.time(), step=self._first_epoch, session_log=start))
        except OSError:
            file.close()
            path.unlink()
            raise
        self._file = file


def _append(file, event: Event) -> None:
    """One record, whole or not at all: half a record would hide all that follow."""
    end = file.tell()
    try:
        RecordWriter(_Whole(file)).write(event.SerializeToString())
    except OSError:
        file.truncate(end)
        file.seek(end)
        raise


class _Whole:
    """A raw file that writes everything or raises."""

    def __init__(self, file):
        self._file = file

    def write(self, data: bytes) -> None:
        data = memoryview(data)
        while data:
            data = data[self._file.write(data) :]


def read_scalars(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """`{name: (epochs, values)}` of every scalar in a run's TensorBoard folder, one value per epoch."""
    if not any(Path(folder).glob("events.out.tfevents.*")):
        raise InputError(f"there is no training log in {folder}: train the run first, or check its name.")
    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    log = {}
    for name in events.Tags()["scalars"]:
        by_step = {e.step: e.value for e in events.Scalars(name)}  # the newest value of a step wins
        steps = sorted(by_step)
        log[name] = (np.array(steps), np.array([by_step[s] for s in steps]))
    return log


def draw(model: BetaVAE, originals: np.ndarray, run: Run, epoch: int, seed: int, book: Logbook) -> None:
    """100 samples from the prior and up to 100 reconstructions, one file each and a sheet of either, and one path.

    The path runs between the first two held-out pictures, the same ones every time.
    """
    folder = run.generated_images / f"epoch_{epoch:04d}"
    sets = {"generated": sample_prior(model, 100, seed), "reconstructed": reconstruct(model, originals[:100])}
    for name, pictures in sets.items():
        sheet = tile(pictures, columns=10)
        with book.tolerate_full_disk():
            for i, picture in enumerate(pictures):
                _keep(picture, folder / name / f"{i:03d}.png")
            _keep(sheet, folder / f"{name}.png")
        book.picture(epoch, name, sheet)
    if len(originals) > 1:
        mu, _ = encode_pictures(model, originals[:2])
        path = tile(walk(model, mu[0], mu[1], steps=8).frames, columns=8)
        with book.tolerate_full_disk():
            _keep(path, folder / "interpolation.png")
        book.picture(epoch, "interpolation", path)


def _keep(picture: np.ndarray, path: Path) -> None:
    """Write one picture (H, W, 3) as PNG. Raises OSError."""
    write_aside(path, to_bytes(picture, "png"))


def write_projector(model: BetaVAE, pictures: PictureSet, book: Logbook) -> None:
    """The codes of up to 512 held-out pictures with names and thumbnails, for TensorBoard's projector."""
    rows = pictures.split.validation[:_CODES]
    originals = np.asarray(pictures.pictures[rows])
    step = max(1, originals.shape[1] // _THUMBNAIL)
    height = originals.shape[1] // step
    thumbnails = originals.reshape(len(rows), height, step, height, step, 3).mean(axis=(2, 4)).round().astype(np.uint8)
    book.projector(encode_pictures(model, originals)[0].numpy(), [pictures.names[row] for row in rows], thumbnails)

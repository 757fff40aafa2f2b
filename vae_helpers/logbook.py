"""What a run writes down: TensorBoard's event file, and reading the same numbers back for a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from vae_helpers.errors import InputError


class Logbook:
    """TensorBoard scalars and pictures of one run; the step is the epoch, counted from 1.

    A resumed run passes the first epoch it is about to write: TensorBoard then hides later ones
    that the interrupted process had still written, so no step appears twice.
    """

    def __init__(self, folder: Path, first_epoch: int = 1):
        self.writer = SummaryWriter(str(folder), purge_step=first_epoch if first_epoch > 1 else None)

    def scalars(self, epoch: int, values: dict[str, float]) -> None:
        """Write named numbers, for example `{"loss/train": 5012.3}`."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, epoch)

    def picture(self, epoch: int, name: str, picture: np.ndarray) -> None:
        """Write one uint8 (H, W, 3) picture."""
        self.writer.add_image(name, picture, epoch, dataformats="HWC")

    def flush(self) -> None:
        """Hand everything to the disk, so that a reader sees this epoch."""
        self.writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self.writer.close()


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

"""Ctrl-C, SIGTERM and a closed terminal: the step in hand ends and a checkpoint is written."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

from vae_helpers.files import say

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_GRACE = 120  # seconds for a process whose parent has ended to end by itself


class Stop:
    """Whether a signal asked training to stop."""

    def __init__(self, ignore_second: bool = False):
        """`ignore_second`: a second Ctrl-C doesn't end it at once, since torchrun passes on what the terminal sent."""
        self.asked = False
        self._ignore_second = ignore_second
        self._saving, self._interrupt_pending = 0, False

    @contextmanager
    def handling_signals(self) -> Iterator["Stop"]:
        """Catch the signals inside the block; the handlers that were there come back after it."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
            yield self
            return
        before = {number: signal.getsignal(number) for number in _SIGNALS}
        # What is ignored stays so: nohup ignores SIGHUP, a shell's `&` may ignore SIGINT.
        previous = {
            number: signal.signal(number, self._handle) for number in _SIGNALS if before[number] != signal.SIG_IGN
        }
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Let the block end before a second Ctrl-C counts."""
        self._saving += 1
        try:
            yield
        finally:
            self._saving -= 1
        if self._interrupt_pending and not self._saving:
            self._interrupt_pending = False
            raise KeyboardInterrupt

    def _handle(self, number, frame) -> None:
        if self.asked and number == signal.SIGINT and not self._ignore_second:  # a second Ctrl-C means it
            if not self._saving:
                raise KeyboardInterrupt
            self._interrupt_pending = True
        self.asked = True


class ProgressBar(tqdm):
    """A progress bar that ignores a closed terminal or notebook, which must not cost the checkpoint."""

    def display(self, *arguments, **options):
        with contextlib.suppress(OSError):
            return super().display(*arguments, **options)

    def close(self):
        with contextlib.suppress(OSError):
            super().close()

    @classmethod
    def write(cls, *arguments, **options):
        with contextlib.suppress(OSError):
            super().write(*arguments, **options)


def stop_when(gone: Callable[[], bool], every: float = 1.0) -> None:
    """From another thread: once `gone()`, stop this process as SIGTERM does, and by force if that takes long."""

    def watch():
        while not gone():
            time.sleep(every)
        say("Whatever started this training has ended, so it saves and ends as well.")
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_GRACE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

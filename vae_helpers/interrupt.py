"""Ctrl-C and SIGTERM during training: the step in hand ends, a checkpoint is written, nothing is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Stop:
    """Remembers that somebody asked for an end."""

    def __init__(self, patient: bool = False):
        """`patient`: a second Ctrl-C doesn't end it at once (torchrun passes on what the terminal has sent already)."""
        self.asked = False
        self._patient = patient

    @contextmanager
    def listening(self) -> Iterator["Stop"]:
        """Catch both signals inside the block; the handlers that were there come back after it."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread may set handlers
            yield self
            return
        previous = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _ask(self, number, frame) -> None:
        if self.asked and number == signal.SIGINT and not self._patient:  # a second Ctrl-C means it
            raise KeyboardInterrupt
        self.asked = True

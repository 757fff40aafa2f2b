"""`python -m vae_helpers COMMAND`: parse, run, and say in one sentence what went wrong. The commands are in `shell`."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import traceback
from collections.abc import Iterator

from vae_helpers.errors import InputError, explain, naming_options, printable, worded
from vae_helpers.settings import rank_and_size
from vae_helpers.shell import build_parser, require_places

_SEVERAL = ("train", "tour")  # what several processes may do together
# What asks for memory.
_LARGE = ("batch_size", "num_samples", "image_size", "latent_dim", "limit", "samples", "steps", "rows")


class Escaped:
    """A stream that sends a terminal nothing but letters: a file may be called anything."""

    def __init__(self, stream):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(printable(text, keep="\n\t"))
        return len(text)

    def __getattr__(self, name: str):
        return getattr(self._stream, name)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, or 2 after one sentence on standard error.

    VAE_DEBUG=1 shows the traceback behind that sentence.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # letters that the terminal's encoding lacks must not end a command
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    with naming_options(options.words):
        try:
            with _output(options.command):
                require_places(options)
                options.run_command(options)
                sys.stdout.flush()
        except KeyboardInterrupt:
            print(f"vae_helpers {options.command}: stopped before it was done.", file=sys.stderr)
            return 130
        except Exception as problem:
            lower = " or ".join([options.words[name] for name in _LARGE if name in options.words][:3])
            sentence = str(problem) if isinstance(problem, InputError) else explain(problem, lower)
            if sentence is None:
                raise
            _drop_unwritten()
            if os.environ.get("VAE_DEBUG"):
                traceback.print_exc()
            print(printable(f"vae_helpers {options.command}: {worded(sentence)}"), file=sys.stderr)
            return 2
    return 0


@contextlib.contextmanager
def _output(command: str) -> Iterator[None]:
    """Of the processes that torchrun started the first alone prints results."""
    rank, size = rank_and_size(os.environ)
    if size > 1 and command not in _SEVERAL:
        raise InputError(f"{command} runs in one process, not {size}: start it without torchrun.")
    with contextlib.redirect_stdout(io.StringIO() if rank else Escaped(sys.stdout)):
        yield


def _drop_unwritten() -> None:
    """Python writes what is left in its buffer as it ends, and would complain once more about a full disk or a pipe."""
    try:
        sys.stdout.flush()
    except OSError:
        with contextlib.suppress(OSError, ValueError):  # a stream that is no file
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())

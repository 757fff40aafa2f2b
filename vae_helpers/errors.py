"""The one exception that a person is meant to read."""


class InputError(ValueError):
    """Something the user gave cannot be used: one sentence that names it, says why, and what to do next.

    The shell prints the sentence and exits with status 2; a notebook shows it as the last line.
    """

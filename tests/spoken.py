"""What a command of the shell says."""

from vae_helpers.__main__ import main


def said(capsys, *words):
    """`(status, what was printed, the sentence)` of a command."""
    try:
        status = main([str(word) for word in words])
    except SystemExit as stop:  # the parser leaves this way
        status = stop.code
    return status, *capsys.readouterr()

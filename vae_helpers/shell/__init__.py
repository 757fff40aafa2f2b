"""The shell's commands: options with their ranges, what each command does. Parsing loads neither torch nor numpy."""

from vae_helpers.shell.commands import config_of, require_places
from vae_helpers.shell.options import RECIPE, Number, OneOf, Whole, device, image_size, is_number, knob, path, picture
from vae_helpers.shell.parser import build_parser

__all__ = [
    "Number",
    "OneOf",
    "RECIPE",
    "Whole",
    "build_parser",
    "config_of",
    "device",
    "image_size",
    "is_number",
    "knob",
    "path",
    "picture",
    "require_places",
]

"""The shell's commands: options with their ranges, what each command does. Parsing loads neither torch nor numpy."""

from vae_helpers.shell.commands import COMMANDS, build_parser, require_places
from vae_helpers.shell.options import RECIPE, Number, OneOf, Whole, device, image_size, is_number, knob, path, picture
from vae_helpers.shell.train_commands import config_of

__all__ = [
    "COMMANDS",
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

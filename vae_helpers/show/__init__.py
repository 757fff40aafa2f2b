"""Everything that is drawn or written as a picture: figures, stills, animations, a page with a slider.

What needs matplotlib is loaded when it is first asked for: the explorers and training do without."""

from importlib import import_module
from typing import TYPE_CHECKING

from vae_helpers.show.export import save_frames, save_png, tile, to_bytes, video_encoder
from vae_helpers.show.scrubber import embedded, scrubber_html

if TYPE_CHECKING:
    from vae_helpers.show import figures, path_figures, score_figures
    from vae_helpers.show.figures import save
    from vae_helpers.show.score_figures import show_factor_map, show_rate_distortion, show_scores

_DRAWN = {
    "save": "figures",
    "show_factor_map": "score_figures",
    "show_rate_distortion": "score_figures",
    "show_scores": "score_figures",
}
_MODULES = ("figures", "path_figures", "score_figures")

__all__ = [
    "embedded",
    "figures",
    "path_figures",
    "save",
    "save_frames",
    "save_png",
    "score_figures",
    "scrubber_html",
    "show_factor_map",
    "show_rate_distortion",
    "show_scores",
    "tile",
    "to_bytes",
    "video_encoder",
]


def __getattr__(name: str):
    if name not in _DRAWN and name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_DRAWN.get(name, name)}")
    return getattr(module, name) if name in _DRAWN else module

"""Everything that is drawn or written as a picture: figures, stills, animations, a page with a slider."""

from vae_helpers.show.export import save_frames, save_png, tile, to_bytes, video_encoder
from vae_helpers.show.figures import save
from vae_helpers.show.score_figures import show_factor_map, show_rate_distortion, show_scores
from vae_helpers.show.scrubber import embedded, scrubber_html

__all__ = [
    "embedded",
    "save",
    "save_frames",
    "save_png",
    "scrubber_html",
    "show_factor_map",
    "show_rate_distortion",
    "show_scores",
    "tile",
    "to_bytes",
    "video_encoder",
]

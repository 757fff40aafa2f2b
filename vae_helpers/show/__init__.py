"""Everything that is drawn or written as a picture: figures, stills, animations, a page with a slider.

A function `show_...` returns a closed figure, so that a cell which ends in it shows it once; `save` writes one.
"""

from vae_helpers.show.export import enlarged, save_frames, save_png, tile, to_bytes, video_encoder
from vae_helpers.show.figures import (
    save,
    show_curves,
    show_gaussians,
    show_grid,
    show_histogram,
    show_latent_use,
    show_losses,
    show_paths,
    show_reconstructions,
    show_rows,
    show_traversals,
)
from vae_helpers.show.map_figure import show_map
from vae_helpers.show.page.build import FRAMES, PageContent, page_html, page_script, save_page
from vae_helpers.show.page.packing import Packed, decode_packed, numbers_at, pack_decoder, pack_encoder, unpacked
from vae_helpers.show.path_figures import show_factors, show_inspection, show_samples
from vae_helpers.show.point_colours import Legend, PointColours, colour_points
from vae_helpers.show.score_figures import show_factor_map, show_rate_distortion, show_scores
from vae_helpers.show.scrubber import embedded, scrubber_html
from vae_helpers.show.trust_figures import show_kinds, show_readout, show_trust, show_what_moves

__all__ = [
    "FRAMES",
    "Packed",
    "PageContent",
    "decode_packed",
    "numbers_at",
    "pack_decoder",
    "pack_encoder",
    "page_html",
    "page_script",
    "save_page",
    "unpacked",
    "Legend",
    "PointColours",
    "colour_points",
    "embedded",
    "enlarged",
    "save",
    "save_frames",
    "save_png",
    "scrubber_html",
    "show_curves",
    "show_factor_map",
    "show_factors",
    "show_gaussians",
    "show_grid",
    "show_histogram",
    "show_inspection",
    "show_kinds",
    "show_latent_use",
    "show_losses",
    "show_map",
    "show_paths",
    "show_rate_distortion",
    "show_reconstructions",
    "show_rows",
    "show_samples",
    "show_scores",
    "show_traversals",
    "show_readout",
    "show_trust",
    "show_what_moves",
    "tile",
    "to_bytes",
    "video_encoder",
]

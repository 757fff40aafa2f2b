"""Moving through the latent space: encode, decode, sample; paths, charts, axes and directions; measures of frames.

Codes are float32 (N, latent_dim), means μ and never samples, so that looking twice shows the same picture.
"""

from vae_helpers.latent.axes import (
    TRUSTED,
    AttributeAxis,
    Axis,
    LatentAxis,
    LineAxis,
    Trust,
    attribute_axes,
    by_trust,
    component_axes,
    direction_axis,
    latent_axes,
    move_together,
    sound_choices,
    sound_range,
)
from vae_helpers.latent.chart import Chart
from vae_helpers.latent.chart_features import Features
from vae_helpers.latent.chart_file import (
    chart_as_dict,
    chart_from_dict,
    load_chart,
    save_chart,
    stamp_of,
    weights_stamp,
)
from vae_helpers.latent.code_reader import VectorReader
from vae_helpers.latent.codes import (
    LatentSummary,
    decode_codes,
    encode_pictures,
    frozen_decoder,
    reconstruct,
    summarise,
    traversal_range,
    traverse,
)
from vae_helpers.latent.curves import lerp, slerp
from vae_helpers.latent.directions import analogy, direction_between
from vae_helpers.latent.factor_reader import FactorReader
from vae_helpers.latent.finds import FINDS, Find, keep_find, list_finds, remove_find
from vae_helpers.latent.geodesic import geodesic_curve
from vae_helpers.latent.kept_directions import (
    DIRECTIONS,
    KeptDirection,
    direction_by_hand,
    keep_direction,
    list_directions,
    remove_direction,
)
from vae_helpers.latent.known_path import known_curve
from vae_helpers.latent.maps import choose_apart, nearest_codes, pca_map, tsne_map
from vae_helpers.latent.path_kinds import KINDS, PathContext
from vae_helpers.latent.path_report import PathReport, compare_paths, inspect_path
from vae_helpers.latent.paths import Path, chain, four_corners, pick_pairs, picture_change, picture_length, walk
from vae_helpers.latent.refined_code import Refined, refine
from vae_helpers.latent.samples import (
    sample_chart,
    sample_fitted,
    sample_mixture,
    sample_posterior,
    sample_prior,
    samples_by_kind,
)
from vae_helpers.latent.soundness import BROKEN, DOUBTFUL, SOUND, Soundness, Verdict, reencode_error
from vae_helpers.latent.support import Support, SupportReport

__all__ = [
    "FINDS",
    "Find",
    "keep_find",
    "list_finds",
    "remove_find",
    "AttributeAxis",
    "Axis",
    "BROKEN",
    "Chart",
    "DIRECTIONS",
    "DOUBTFUL",
    "FactorReader",
    "Features",
    "KINDS",
    "KeptDirection",
    "LatentAxis",
    "LatentSummary",
    "LineAxis",
    "Path",
    "PathContext",
    "PathReport",
    "Refined",
    "SOUND",
    "Soundness",
    "Support",
    "TRUSTED",
    "SupportReport",
    "Trust",
    "VectorReader",
    "Verdict",
    "analogy",
    "attribute_axes",
    "by_trust",
    "chain",
    "chart_as_dict",
    "chart_from_dict",
    "choose_apart",
    "compare_paths",
    "component_axes",
    "decode_codes",
    "direction_axis",
    "direction_between",
    "direction_by_hand",
    "encode_pictures",
    "four_corners",
    "frozen_decoder",
    "geodesic_curve",
    "inspect_path",
    "keep_direction",
    "known_curve",
    "latent_axes",
    "lerp",
    "list_directions",
    "load_chart",
    "move_together",
    "nearest_codes",
    "pca_map",
    "pick_pairs",
    "picture_change",
    "picture_length",
    "reconstruct",
    "reencode_error",
    "refine",
    "remove_direction",
    "sample_chart",
    "sample_fitted",
    "sample_mixture",
    "sample_posterior",
    "sample_prior",
    "samples_by_kind",
    "save_chart",
    "slerp",
    "sound_choices",
    "sound_range",
    "stamp_of",
    "summarise",
    "traversal_range",
    "traverse",
    "tsne_map",
    "walk",
    "weights_stamp",
]

"""Pictures: any folder decoded once to uint8 (N, H, W, 3), split by name and batched; sets drawn from known factors.

`open_pictures` gives a `PictureSet`, with `.training`, `.validation` and `.test`; `read_picture` opens one file;
`fetch` brings pictures here. `plan`, `batches` and `to_float` give the model's tensors, `to_uint8` back.
`attributes_of` and `read_attributes` give the table of what is known of each picture beside its pixels; `render` and
`sample_factors` draw the built-in sets. Caches: `list_caches`, `clear_caches`.
"""

from vae_helpers.data.attribute_file import read_attributes
from vae_helpers.data.attribute_table import (
    KINDS,
    Attribute,
    Attributes,
    canonical_correlation,
    embed,
    embed_all,
    find_name,
    ranged,
    split_embedded,
    unembed,
    unembed_all,
)
from vae_helpers.data.attributes import attributes_of, from_factors, from_labels, from_marks, read_pixels
from vae_helpers.data.batching import (
    batches,
    copy_to_device,
    copy_to_gpu_if_it_fits,
    gather,
    order,
    plan,
    read_ahead,
    to_float,
    to_uint8,
)
from vae_helpers.data.cache import CacheSpec, open_cache
from vae_helpers.data.cache_format import digest, verify
from vae_helpers.data.caches import clear_caches, list_caches, sources_in
from vae_helpers.data.chunks import jpeg_scans
from vae_helpers.data.decoding import Square, decode, decode_blocks, is_temporary, resize_square
from vae_helpers.data.downloading import download
from vae_helpers.data.duplicates import fingerprints, near_duplicates
from vae_helpers.data.fetching import fetch, unpack
from vae_helpers.data.fingerprint import UNKNOWN, name_prints
from vae_helpers.data.folder_cache import read_notes, write_notes
from vae_helpers.data.folders import (
    FOLDERS,
    choose,
    find_folder,
    find_pictures,
    fraction,
    label_of,
    list_pictures,
    project_root,
    safe_parts,
)
from vae_helpers.data.kinds import Unreadable, is_candidate
from vae_helpers.data.known_factors import open_known_factors
from vae_helpers.data.middles import Middles, not_drawn
from vae_helpers.data.opening import built_in_names, cache_folder, name_of, open_pictures, read_picture
from vae_helpers.data.partners import Partners, no_factors, too_few_classes
from vae_helpers.data.pictures import PictureSet
from vae_helpers.data.pixel_attributes import PIXELS, measure_pixels
from vae_helpers.data.split import UNDECIDED, Split, small_parts, split_by_lowest_hash, split_by_name
from vae_helpers.data.synthetic import SETS, paint, render, sample_factors
from vae_helpers.data.synthetic.shapes import Factor, backdrop

__all__ = [
    "Attribute",
    "Attributes",
    "CacheSpec",
    "FOLDERS",
    "Factor",
    "KINDS",
    "PIXELS",
    "PictureSet",
    "SETS",
    "Split",
    "Square",
    "UNDECIDED",
    "UNKNOWN",
    "Unreadable",
    "attributes_of",
    "backdrop",
    "batches",
    "built_in_names",
    "cache_folder",
    "canonical_correlation",
    "choose",
    "clear_caches",
    "copy_to_device",
    "copy_to_gpu_if_it_fits",
    "decode",
    "decode_blocks",
    "digest",
    "download",
    "embed",
    "embed_all",
    "fetch",
    "find_folder",
    "find_name",
    "find_pictures",
    "fingerprints",
    "fraction",
    "from_factors",
    "from_labels",
    "from_marks",
    "gather",
    "is_candidate",
    "is_temporary",
    "jpeg_scans",
    "label_of",
    "list_caches",
    "list_pictures",
    "measure_pixels",
    "name_of",
    "name_prints",
    "Middles",
    "no_factors",
    "too_few_classes",
    "not_drawn",
    "Partners",
    "near_duplicates",
    "open_cache",
    "open_known_factors",
    "open_pictures",
    "order",
    "paint",
    "plan",
    "project_root",
    "ranged",
    "read_ahead",
    "read_attributes",
    "read_notes",
    "read_picture",
    "read_pixels",
    "render",
    "resize_square",
    "safe_parts",
    "sample_factors",
    "small_parts",
    "sources_in",
    "split_by_lowest_hash",
    "split_by_name",
    "split_embedded",
    "to_float",
    "to_uint8",
    "unembed",
    "unembed_all",
    "unpack",
    "verify",
    "write_notes",
]

"""The explorer as one self-contained HTML page with the decoder inside."""

from vae_helpers.show.page.build import SCRIPTS, PageContent, chart_part, page_html, save_page
from vae_helpers.show.page.packing import Packed, decode_packed, pack_decoder, pack_encoder, unpacked

__all__ = [
    "SCRIPTS",
    "Packed",
    "PageContent",
    "chart_part",
    "decode_packed",
    "pack_decoder",
    "pack_encoder",
    "page_html",
    "save_page",
    "unpacked",
]

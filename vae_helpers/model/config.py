"""Everything that decides a model's shape."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vae_helpers.errors import InputError
from vae_helpers.settings import DECODER_NORMS, MODEL, one_of, short

OUTPUTS = ("tanh", "langevin")
_WIDTHS = (32, 64, 128, 256, 512)


@dataclass(frozen=True)
class VAEConfig:
    """Everything that decides a model's shape; enough to rebuild it from a checkpoint.

    `widths=None` derives the channels from `image_size`: one block per halving down to 4×4,
    so 64 px has four blocks, 128 px five and 256 px six (the last width repeats).
    """

    image_size: int = 128  # pictures are 3 × image_size × image_size
    latent_dim: int = 128
    widths: tuple[int, ...] | None = None  # channels after each encoder block; (32, 64, 128, 256, 512) at 128 px
    decoder_norm: str = "instance"  # "adaptive" and "batch" keep image-wide colour better (notebook 02)
    output: str = "tanh"  # from the last activation to a picture; "langevin" where a run's likelihood calls for it

    def __post_init__(self):
        size = self.image_size
        if not isinstance(size, int) or not 8 <= size <= MODEL["image_size"].high or size & (size - 1):
            raise InputError(
                f"image_size {short(size)} does not fit: the encoder halves the picture down to 4×4, so use "
                f"a power of two from 8 to {MODEL['image_size'].high:,}, such as 64, 128 or 256."
            )
        object.__setattr__(self, "latent_dim", MODEL["latent_dim"].take("latent_dim", self.latent_dim))
        blocks = size.bit_length() - 3
        widths = (_WIDTHS + _WIDTHS[-1:] * blocks)[:blocks] if self.widths is None else self.widths
        if not isinstance(widths, (tuple, list)) or len(widths) != blocks:
            raise InputError(
                f"widths {short(widths)} do not fit image_size {size}: {blocks} halvings lead to 4×4, "
                f"so give {blocks} widths or none."
            )
        widths = tuple(MODEL["widths"].take("each of widths", width) for width in widths)
        object.__setattr__(self, "widths", widths)
        for name, known in (("decoder_norm", DECODER_NORMS), ("output", OUTPUTS)):
            one_of(name, getattr(self, name), known)

    def as_dict(self) -> dict:
        """Plain types only, for a checkpoint; `output` only where it is not the default, which older versions read."""
        plain = {**asdict(self), "widths": list(self.widths)}
        return {name: value for name, value in plain.items() if (name, value) != ("output", "tanh")}

"""What the tests of the page share: small models of every kind, and a page of one."""

import base64
import json
import re

import numpy as np
import torch

from vae_helpers.data import Attribute, Attributes
from vae_helpers.latent import Chart, Trust, encode_pictures, lerp, summarise
from vae_helpers.model import BatchNorm, BetaVAE, VAEConfig
from vae_helpers.show import FRAMES, PageContent, numbers_at

HOSTILE = '"><img src=x onerror=alert(1)>'
CLOSING = "</script><script>alert(2)</script>"


def bytes_of(page, kind):
    """What a page holds in pieces of this kind."""
    return base64.b64decode("".join(re.findall(rf'class="weights {kind}">(.*?)</script>', page, re.S)))


def data_of(page):
    """A page's data, its arrays of numbers among them."""
    numbers = bytes_of(page, "numbers")

    def found(value):
        shape = value.get("numbers")
        return value if shape is None else numbers_at(numbers, value).reshape(shape).tolist()

    return json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1], object_hook=found)


def some_decoder(size=32, norm="adaptive", output="tanh", widths=None, latents=12):
    """A model whose norms do something, in eval mode."""
    torch.manual_seed(size)
    shape = {} if widths is None else {"widths": widths}
    model = BetaVAE(VAEConfig(size, latents, decoder_norm=norm, output=output, **shape)).eval()
    for block in model.decoder.blocks:
        if isinstance(block.norm, BatchNorm):
            block.norm.running_mean.normal_()
            block.norm.running_var.uniform_(0.5, 2)
            torch.nn.init.normal_(block.norm.weight, 1, 0.1)
            torch.nn.init.normal_(block.norm.bias)
        elif block.norm.style is not None:
            torch.nn.init.normal_(block.norm.style.weight, 0, 0.1)
    return model


def some_content(model, count=6, **more):
    """A page's content with a chart of four correlated attributes, two of which have hostile names."""
    generator = np.random.default_rng(0)
    size = model.config.image_size
    pictures = generator.integers(0, 256, (60, size, size, 3), np.uint8)
    codes, logvar = encode_pictures(model, pictures)
    codes = torch.randn(codes.shape, generator=torch.Generator().manual_seed(1))
    z = codes.numpy().astype(np.float64)
    turn = np.arctan2(z[:, 2], z[:, 3]) / (2 * np.pi) % 1
    kind = np.digitize(z[:, 4], [-0.4, 0.4]).astype(float)
    table = (
        Attribute(HOSTILE, "cm", "number", -3.0, 3.0),
        Attribute("follows", "", "number", -3.0, 3.0),
        Attribute("turn", "of a circle", "circular", 0.0, 1.0),
        Attribute("kind", "", "category", 0.0, 2.0, ("plain", CLOSING, "striped")),
    )
    values = np.stack([z[:, 0], 0.8 * z[:, 0] + 0.3 * z[:, 1], turn, kind], axis=1)
    chart = Chart.fit(codes, Attributes(values, table))
    trust = [Trust(each.name, 1.0, 0.9, 0.0, "test") for each in table]
    names = [f"{HOSTILE}{i}" for i in range(count)]
    content = PageContent(
        model, pictures[:count], names, codes[:count], codes, summarise(codes, logvar), chart, trust, HOSTILE, CLOSING
    )
    bent = lerp(codes[0], codes[2], FRAMES) + torch.sin(torch.linspace(0, np.pi, FRAMES))[:, None]
    content = content._replace(geodesics=[(0, 2, bent)])
    return content._replace(**more)

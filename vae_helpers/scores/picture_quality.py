"""How good decoded pictures look, by torchmetrics: SSIM, MS-SSIM and LPIPS per picture, FID and KID of two sets.

LPIPS, FID and KID see through networks that others trained. Their weights are fetched the first time; where that fails,
an InputError says so, and no other network stands in.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import URLError

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from vae_helpers.data import to_float
from vae_helpers.errors import InputError, explain, within_limits
from vae_helpers.model import seeded

_BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # finest scale first (Wang et al. 2003, sec. 3.2)
_AT_ONCE = 64  # pictures
_TIMEOUT = 20.0  # seconds for a server to answer
_SMALLER = "end other programs, or leave the scores by networks out"


class Distances(NamedTuple):
    """How far two sets of pictures are apart, lower is nearer; never without their sizes."""

    fid: float  # Fréchet distance of Gaussians fitted to the features; biased upwards by about 1/n
    kid: float  # squared MMD with a cubic kernel, unbiased, so about 0 and even below for equal distributions
    kid_spread: float  # its standard deviation over subsets; 0 where one subset holds everything
    decoded: int  # pictures
    originals: int

    @property
    def remark(self) -> str:
        """Which of the two to quote."""
        n = min(self.decoded, self.originals)
        if n >= 10_000:
            return f"n = {n:,}"
        return f"n = {n:,}: quote KID, because FID is biased below 10,000 pictures"


def ssim_of(decoded: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Structural similarity of each uint8 picture, (N, H, W, 3) both => (N,), 1 for equal pictures (Wang et al. 2004).

    It compares local contrast and structure, where PSNR compares pixels: a blurred texture costs it more, a shifted
    tone less. Pictures must be 16 pixels or more, for its 11-pixel window. Computed by torchmetrics.
    """
    from torchmetrics.functional.image import structural_similarity_index_measure

    decoded, originals = _same(decoded, originals, 16, "SSIM")
    scores = [
        structural_similarity_index_measure((a + 1) / 2, (b + 1) / 2, data_range=1.0, reduction="none")
        for a, b in _pairs(decoded, originals)
    ]
    return torch.cat([score.reshape(-1) for score in scores]).numpy()


def ms_ssim_of(decoded: np.ndarray, originals: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity of each uint8 picture, (N, H, W, 3) both => (N,), 1 for equal ones.

    Wang, Simoncelli & Bovik 2003, whose five scales need 256 pixels. A smaller picture has those whose coarsest is
    still 16 pixels wide, for the 11-pixel window: 4 at 128 pixels, 3 at 64, 2 at 32, with the paper's exponents of the
    finest scales divided by their sum. So compare pictures of one size only.
    """
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    decoded, originals = _same(decoded, originals, 32, "MS-SSIM")
    scales = min(len(_BETAS), min(decoded.shape[1:3]).bit_length() - 4)
    betas = tuple(beta / sum(_BETAS[:scales]) for beta in _BETAS[:scales])
    scores = [
        multiscale_structural_similarity_index_measure(
            (a + 1) / 2, (b + 1) / 2, data_range=1.0, betas=betas, reduction="none"
        )
        for a, b in _pairs(decoded, originals)
    ]
    return torch.cat([score.reshape(-1) for score in scores]).numpy()


def lpips_of(
    decoded: np.ndarray, originals: np.ndarray, network: nn.Module | None = None, fetch: bool = True
) -> np.ndarray:
    """Perceptual distance of each uint8 picture, (N, H, W, 3) both => (N,), 0 for equal ones (Zhang et al. 2018).

    `network(a, b)` takes floats (n, 3, H, W) in [-1, 1] to (n,) distances; default: LPIPS 0.1 on AlexNet
    (`load_lpips`).
    """
    decoded, originals = _same(decoded, originals, 32, "LPIPS")
    network = load_lpips(fetch=fetch) if network is None else network
    with torch.no_grad():
        device = _device_of(network)
        return torch.cat(
            [network(a.to(device), b.to(device)).reshape(-1).cpu() for a, b in _pairs(decoded, originals)]
        ).numpy()


def distances(
    decoded: np.ndarray,
    originals: np.ndarray,
    extractor: nn.Module | None = None,
    seed: int = 0,
    progress: bool = False,
) -> Distances:
    """FID (Heusel et al. 2017) and KID (Bińkowski et al. 2018) between two sets of uint8 pictures (n, H, W, 3).

    `extractor` takes uint8 (n, 3, H, W) to features (n, F); default: torch-fidelity's Inception, 2048 features,
    pictures resized with anti-aliasing (`load_inception`). Other implementations resize otherwise, so compare numbers
    from here only. KID is the mean over 100 subsets of up to 1,000 pictures, chosen by `seed`.
    """
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.kid import KernelInceptionDistance

    for pictures in (decoded, originals):
        if np.ndim(pictures) != 4 or pictures.dtype != np.uint8 or len(pictures) < 2:
            raise InputError(
                f"FID and KID compare two sets of at least 2 uint8 pictures (n, H, W, 3), but one has "
                f"{np.asarray(pictures).dtype} of shape {np.shape(pictures)}."
            )
    extractor = load_inception() if extractor is None else extractor
    features = [_features(extractor, pictures, progress) for pictures in (decoded, originals)]
    smaller = min(len(decoded), len(originals))
    given = _Given(features[0].shape[1])
    fid = FrechetInceptionDistance(feature=given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that features are kept: they are ours already
        size = min(1000, smaller)
        kid = KernelInceptionDistance(
            feature=given, subsets=1 if size == max(len(decoded), len(originals)) else 100, subset_size=size
        )
    for metric in (fid, kid):
        for part, real in zip(features, (False, True)):
            metric.update(part, real=real)
    with seeded(seed):
        kernel, spread = kid.compute()
    return Distances(float(fid.compute()), float(kernel), float(spread), len(decoded), len(originals))


def load_lpips(device: str | torch.device = "cpu", fetch: bool = True) -> nn.Module:
    """LPIPS 0.1 on AlexNet; its backbone comes from torchvision's server the first time (244 MB), if `fetch`."""
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    with _or_say_why("LPIPS", "AlexNet's weights"):
        if not fetch:
            from torchvision.models import AlexNet_Weights

            _require_here("LPIPS", "AlexNet's weights (244 MB)", AlexNet_Weights.IMAGENET1K_V1.url)
        network = LearnedPerceptualImagePatchSimilarity(net_type="alex").net
    with within_limits("LPIPS", _SMALLER):
        return network.to(device)


def load_inception(device: str | torch.device = "cpu", fetch: bool = True) -> nn.Module:
    """torch-fidelity's Inception v3, 2048 features; its weights come from GitHub the first time (91 MB), if `fetch`."""
    from torchmetrics.image import fid

    with _or_say_why("FID and KID", "Inception's weights"):
        if not fetch:
            from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

            _require_here("FID and KID", "Inception's weights (91 MB)", URL_INCEPTION_V3)
        network = fid.NoTrainInceptionV3(name="inception-v3-compat", features_list=["2048"])
    with within_limits("Inception, for FID and KID,", _SMALLER):
        return network.to(device)


def _require_here(score: str, weights: str, url: str) -> None:
    if not Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2]).is_file():
        raise InputError(
            f"{score} cannot be computed, because {weights} are not on this machine, and nothing is "
            "downloaded unasked: allow it with `fetch=True`."
        )


@contextlib.contextmanager
def _or_say_why(score: str, weights: str) -> Iterator[None]:
    """Turn what goes wrong on the way to a network into one sentence; a server that does not answer is not waited for.

    What a download says of itself goes to the screen, not into the output.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        with contextlib.redirect_stdout(sys.stderr), within_limits(score, _SMALLER):
            yield
    except ModuleNotFoundError as problem:
        package = "torch-fidelity" if "fidelity" in str(problem).lower() else problem.name or "torchvision"
        raise InputError(
            f"{score} cannot be computed, because the package {package} is not installed: `pip install {package}`."
        ) from None
    except (OSError, RuntimeError) as problem:
        raise InputError(f"{score} cannot be computed, because {_why(problem, weights)}.") from None
    finally:
        socket.setdefaulttimeout(before)


def _why(problem: Exception, weights: str) -> str:
    """What happened to these weights, and what to do."""
    if isinstance(problem, (URLError, HTTPException, TimeoutError, ConnectionError)):
        return (
            f"{weights} could not be fetched ({getattr(problem, 'reason', None) or problem}): run it once where "
            f"there is internet, and its cache ({torch.hub.get_dir()}) serves from then on"
        )
    if isinstance(problem, OSError):
        return f"{weights} could not be kept: {explain(problem).rstrip('.')}"
    return (
        f"{weights} could not be loaded ({' '.join(str(problem).split())[:200]}): delete them from "
        f"{torch.hub.get_dir()} and fetch them again"
    )


class _Given(nn.Module):
    """Stands for an extractor where features are there already: torchmetrics would run it once per metric."""

    def __init__(self, num_features: int):
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


@torch.no_grad()
def _features(extractor: nn.Module, pictures: np.ndarray, progress: bool) -> Tensor:
    device = _device_of(extractor)
    starts = tqdm(
        range(0, len(pictures), _AT_ONCE), desc="features", unit=f"× {_AT_ONCE} pictures", delay=2, disable=not progress
    )
    chunks = (torch.from_numpy(np.ascontiguousarray(pictures[i : i + _AT_ONCE])).permute(0, 3, 1, 2) for i in starts)
    return torch.cat([extractor(chunk.to(device)).cpu().double() for chunk in chunks])


def _device_of(network: nn.Module | Callable) -> torch.device:
    """Where a network's weights lie; the CPU for what has none."""
    tensors = (*network.parameters(), *network.buffers()) if isinstance(network, nn.Module) else ()
    return next((tensor.device for tensor in tensors), torch.device("cpu"))


def _pairs(decoded: np.ndarray, originals: np.ndarray) -> Iterator[tuple[Tensor, Tensor]]:
    """Chunks of both as floats (n, 3, H, W) in [-1, 1]."""
    for start in range(0, len(decoded), _AT_ONCE):
        yield tuple(to_float(np.ascontiguousarray(part[start : start + _AT_ONCE])) for part in (decoded, originals))


def _same(decoded: np.ndarray, originals: np.ndarray, least: int, score: str) -> tuple[np.ndarray, np.ndarray]:
    decoded, originals = np.asarray(decoded), np.asarray(originals)
    if decoded.shape != originals.shape or decoded.ndim != 4 or not len(decoded) or min(decoded.shape[1:3]) < least:
        raise InputError(
            f"pictures of shapes {decoded.shape} and {originals.shape} cannot be compared by {score}: give "
            f"equal shapes (N, H, W, 3) of at least {least} pixels."
        )
    return decoded, originals

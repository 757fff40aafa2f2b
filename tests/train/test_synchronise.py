"""BatchNorm over several processes."""

import pytest
import torch

from vae_helpers.model import BetaVAE, VAEConfig
from vae_helpers.train import synchronise_batch_norm
from vae_helpers.train.synchronise import _BatchNormOnGPUs

MODEL = VAEConfig(32, 8, (8, 16, 32), decoder_norm="batch")


def test_on_gpus_batch_norm_becomes_pytorchs_own_with_the_same_parameters():
    model = BetaVAE(MODEL)
    before = dict(model.state_dict())

    class _Cuda:  # no GPU is needed to see what is put in
        type = "cuda"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "to", lambda module, *_: module)
        synchronise_batch_norm(model, _Cuda())
    after = model.state_dict()
    assert sum(isinstance(m, _BatchNormOnGPUs) for m in model.modules()) == 5
    assert list(after) == list(before) and all(after[k].data_ptr() == before[k].data_ptr() for k in before)

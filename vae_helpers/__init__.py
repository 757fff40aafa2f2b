"""A β-VAE on a folder of pictures, from the first look to sliders through its latent space.

Read the rooms in this order; each imports only from those before it.

errors        the one exception a person is meant to read
synthetic     pictures drawn from known factors (synthetic_butterflies, synthetic_animals, synthetic_shapes)
data          find, decode once, cache, split, batch (decode, disk, cache, sources, duplicates, split, batching)
model         VAEConfig, Encoder, Decoder, BetaVAE
losses        the objective, term by term
latent        encode, decode, paths between pictures, sweeps along one latent
metrics       scores on held-out pictures
checkpoint    where a run's files live; save and load
logbook       TensorBoard, written and read back
export        pictures and animations to disk
recipe        TrainConfig: the knobs of a run, the learning rate, the device
train         fit
figures       every matplotlib figure
tour          the whole path in one call
widgets       sliders for a notebook (explorer, pair_explorer, latent_explorer, widget_parts)
__main__      the shell: python -m vae_helpers
"""

__version__ = "0.1.0"

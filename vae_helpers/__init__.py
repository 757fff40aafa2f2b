"""A β-VAE on a folder of pictures, from the first look to sliders through its latent space.

Read the sub-packages in this order; each imports only from those before it (train and widgets from neither other).

    errors, files   the one exception a person is meant to read; one way of writing a file
    settings        what a run may be told: names, ranges, TrainConfig; nothing here needs torch
    data            pictures: any folder decoded once, split, batched; sets drawn from known factors; attributes
    model           encoder, decoder, losses, likelihoods, objectives; the device and its number format
    latent          encode and decode; paths, charts, axes, directions; is a frame sound, is a code on known ground?
    show            every figure and every exported file
    runs            a run's files: checkpoints, the TensorBoard log, the weights that come with the project
    scores          numbers about a model
    train           the loop, one process or many, a run that ends cleanly and goes on
    widgets         the explorers of the notebooks
    experiments     runs side by side: the sweep, the plain loop and the comparison with it, packing
    tour            the whole path in one call
    shell           python -m vae_helpers
"""

__version__ = "0.1.0"

"""A β-VAE on a folder of pictures, from the first look to sliders through its latent space.

Read the rooms in this order; each imports only from those before it.

    errors            the one exception a person is meant to read, and how to put what goes wrong elsewhere
                      (choices: the names that settings choose from; options: what the shell's options may be)
    ranges            what numbers that decide a run may be

    synthetic         pictures drawn from known factors
                      (synthetic_shapes, synthetic_butterflies, synthetic_animals)
    data              the door to pictures: find, decode once, cache, split, batch
                      (decode, disk, cache, caches, fingerprint, sources, folder, split, duplicates, batching,
                      known_factors, download, fetch)

    model             VAEConfig, Encoder, Decoder, BetaVAE
    losses            the objective, term by term; what a β of another code base is here
    likelihoods       reconstruction terms -log p(x|z), by name
    objectives        what else is minimised, by name (total_correlation, mmd)
    latent            encode, decode, samples, lerp and slerp, sweeps along one latent
    metrics           scores on held-out pictures (picture_scores, likelihood_scores, latent_scores)
    disentanglement   scores of codes against known factors (fixed_factor: those that hold one)
    recipe            TrainConfig: the knobs of a run, schedules, the device
    checkpoint        where a run's files live; save and load
                      (checkpoint_archive: reading a file without trusting it; checkpoint_schema: what it may say)
    identity          are these the pictures of that run, and may its checkpoint open them?
    export            pictures and animations to disk (scrubber: a page with a slider)

    train             fit: the loop
                      (distributed, engine, dice, feed, interrupt, guard, run_state, logbook, album, launch)
    shipping          weights that come with the project: packed, and found where no run of one's own is
    evaluation        every score of a run, as one file and one table (score_table; sweep: of many runs side by side)
    plain             the loop that everything is compared with, as a tutorial would write it
    benchmark         the training step against it, as ratios (benchmark_runs: whole runs; benchmark_report: the table)

    paths             decoded paths: geodesics, even steps, chains, grids (minimise, geodesic)
    support           is a code on known ground, and which training picture is nearest?
    directions        analogies, and directions from two groups
    factor_reader     true factors read off codes, on sets that know them
    path_report       all of that for one path
    refine            a better code for a picture than μ, by gradient
    latent_map        the set in the plane

    figures           every matplotlib figure (inspector: those of a path; factor_figures: those of scores)
    tour              the whole path in one call
    widgets           sliders for a notebook
                      (explorer, widget_parts, pair_picker, own_photo, latent_row, latent_state, pair_explorer,
                      latent_explorer, map_explorer, beta_dial)
    commands          what each shell command does
    __main__          the shell: python -m vae_helpers (parser: its commands and options)
"""

__version__ = "0.1.0"

import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vae_helpers.data import open_pictures
from vae_helpers.errors import InputError
from vae_helpers.experiments import command_of, pack, packing
from vae_helpers.latent import encode_pictures
from vae_helpers.runs import Run, choose_run, load_checkpoint, load_run, read_about, same_set
from vae_helpers.runs import shipped as shipping
from vae_helpers.scores import evaluate
from vae_helpers.settings import SHIPPED, SHIPPED_RUNS, TrainConfig
from vae_helpers.shell import build_parser, config_of
from vae_helpers.train import fit
from vae_helpers.widgets import runs_on


@pytest.fixture(scope="module")
def packed(trained, tmp_path_factory):
    """The folder that a packed small run lies in."""
    folder = tmp_path_factory.mktemp("installed") / SHIPPED
    pack(trained[0], folder, progress=False)
    return folder


def test_packed_weights_are_half_the_bytes_and_nearly_the_same(trained, packed, small_set):
    run, result = trained
    weights = sum(p.numel() for p in result.model.parameters())
    assert (packed / "best.pt").stat().st_size < 2 * weights + 40_000
    model, saved = load_checkpoint(packed / "best.pt")
    assert all(p.dtype == torch.float32 for p in model.parameters())
    rows = small_set.split.validation
    assert evaluate(model, small_set.pictures, rows).psnr == pytest.approx(result.scores.psnr, abs=0.05)
    assert saved["scores"]["psnr"] == pytest.approx(evaluate(model, small_set.pictures, rows).psnr, abs=1e-4)
    assert "optimizer" not in saved and saved["train_config"] == load_run(run)[1]["train_config"]


def test_how_they_were_made_stands_beside_them(packed, trained):
    text = (packed / "made.txt").read_text()
    assert "python -m vae_helpers train --data butterflies --limit 120" in text and "seed 0" in text
    assert (
        "test part" in text and "psnr" in text and torch.__version__ in text and f"pack --run {trained[0].name}" in text
    )


@pytest.mark.parametrize(
    "found, words",
    [
        (
            {"half": "float16", "channels_last": True, "threads": 3, "machine": "cuda Fast Card, torch 2.11"},
            "on cuda Fast Card, torch 2.11, 3 threads, float16 in the convolutions; seed 0",
        ),
        (
            {"half": "float16", "channels_last": True, "threads": 3, "machine": 4},
            "on a machine that is not known here;",
        ),
        (None, "on a machine that is not known here;"),
    ],
)
def test_the_machine_is_that_of_training_and_not_of_packing(trained, tmp_path, found, words):
    shutil.copytree(trained[0].models, tmp_path / "VAE" / "models" / "small")
    run = Run("small", tmp_path / "VAE")
    torch.save(torch.load(run.last, weights_only=True) | {"arithmetic": found}, run.last)
    pack(run, tmp_path / "packed", progress=False)
    assert words in (tmp_path / "packed" / "made.txt").read_text()


def test_the_runs_that_weights_started_from_stand_before_their_own(trained, small_set, no_sheets, tmp_path):
    shutil.copytree(trained[0].models, tmp_path / "VAE" / "models" / "small")
    for name, start in (("second", "small"), ("third", "second")):
        config = TrainConfig.quick(96, epochs=1, batch_size=16, start_from=start)
        fit(small_set, Run(name, tmp_path / "VAE"), config, device="cpu", progress=False)
    pack(Run("third", tmp_path / "VAE"), tmp_path / "packed", progress=False)
    text = (tmp_path / "packed" / "made.txt").read_text()
    lines = [line.split() for line in text.splitlines()]
    commands = [words for words in lines if words[:3] == ["python", "-m", "vae_helpers"]]
    assert [words[3] for words in commands] == ["train"] * 3 + ["pack"]
    assert [words[-1] for words in commands[:3]] == ["small", "second", "third"]
    assert ["--start-from" in words for words in commands] == [False, True, True, False]
    seen = 96 // 16 * 16
    assert f"{seen:,} pictures seen after {4 * seen:,} in the runs before it" in text
    assert "begins with" not in text
    for spoil, how in (  # what is gone cannot be told
        (lambda first: (first / "made.txt").write_text("so"), "How the first weights were made says the made.txt be"),
        (shutil.rmtree, "The first begins with the weights of the run 'small', and how these were made is not known"),
    ):
        spoil(tmp_path / "VAE" / "models" / "small")
        pack(Run("third", tmp_path / "VAE"), tmp_path / "packed", progress=False, replace=True)
        text = (tmp_path / "packed" / "made.txt").read_text()
        assert text.count("vae_helpers train") == 2 and how in text


def test_a_packed_run_in_the_line_tells_its_own_commands_and_all_that_it_saw(trained, small_set, no_sheets, tmp_path):
    """Its entries ask for fewer pictures than it was trained on."""
    models = tmp_path / "VAE" / "models"
    shutil.copytree(trained[0].models, models / "small")

    def further(name, start):
        config = TrainConfig.quick(96, epochs=1, batch_size=16, start_from=start)
        fit(small_set, Run(name, tmp_path / "VAE"), config, device="cpu", progress=False)
        pack(Run(name, tmp_path / "VAE"), models / f"packed_{name}", progress=False)
        return (models / f"packed_{name}" / "made.txt").read_text()

    first = further("second", "small")
    shutil.rmtree(models / "small")
    shutil.rmtree(models / "second")
    text = further("third", "packed_second")
    commands = [[line for line in each.splitlines() if "vae_helpers" in line] for each in (first, text)]
    assert commands[1][:3] == commands[0] and len(commands[1]) == 5
    assert "--start-from packed_second" in commands[1][3]
    seen = 96 // 16 * 16
    assert f"{seen:,} pictures seen after {4 * seen:,} in the runs before it" in text and "begins with" not in text


def test_pictures_that_no_command_opens_are_named(trained, small_set, no_sheets, tmp_path, monkeypatch):
    """Their run cannot be packed; one that begins with it says that how it began is not known."""
    byhand = replace(small_set, request=None)
    root = tmp_path / "VAE"
    settings = {"epochs": 1, "batch_size": 16}
    fit(byhand, Run("first", root), TrainConfig.quick(96, **settings), device="cpu", progress=False)
    fit(
        small_set,
        Run("second", root),
        TrainConfig.quick(96, **settings, start_from="first"),
        device="cpu",
        progress=False,
    )
    pack(Run("second", root), tmp_path / "packed", progress=False)
    text = (tmp_path / "packed" / "made.txt").read_text()
    assert "begins with the weights of the run 'first', and how these were made is not known" in text
    monkeypatch.setattr(packing, "open_for_run", lambda *given, **more: byhand)
    with pytest.raises(InputError, match="'first' was trained on pictures that no command opens"):
        pack(Run("first", root), tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("seen", ["x", -1, 0.5, True, None, [3], 10**30])
def test_a_spoilt_count_of_what_a_packed_run_saw_is_refused(packed, tmp_path, seen):
    content = torch.load(packed / "best.pt", weights_only=True)
    torch.save(content | {"seen": seen}, tmp_path / "best.pt")
    with pytest.raises(InputError, match="seen"):
        load_checkpoint(tmp_path / "best.pt")


def test_a_packed_run_opens_fewer_pictures_with_the_same_parts(monkeypatch, trained, tmp_path):
    monkeypatch.setattr(packing, "PICTURES", 60)
    pack(trained[0], tmp_path, progress=False)
    request = load_checkpoint(tmp_path / "best.pt")[1]["data"]["request"]
    few, many = open_pictures(**request), open_pictures(**request | {"limit": 120})
    assert len(few) == 60
    for part, whole in zip(few.split, many.split):
        assert set(part) == {row for row in whole if row < 60}


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig.quick(96, epochs=3, flip=False, beta=4.0),
        TrainConfig(epochs=7, lr=0.001, ema=0.99, num_samples=2, exact=False),
    ],
)
def test_the_command_asks_for_the_same_run(config):
    saved = {
        "train_config": vars(config),
        "config": {"latent_dim": 10, "decoder_norm": "batch", "widths": [8, 16, 32, 64]},
        "data": {"request": {"source": "synthetic", "limit": 120, "image_size": 64}},
    }
    command = command_of(saved)
    options = build_parser().parse_args(shlex.split(command)[3:])
    assert config_of(options, options.preset == "quick", 96) == config
    assert options.widths == [8, 16, 32, 64]
    assert (options.data, options.limit, options.image_size, options.latent_dim, options.decoder_norm) == (
        "synthetic",
        120,
        64,
        10,
        "batch",
    )


def test_a_copy_that_is_cut_is_made_again(monkeypatch, packed, tmp_path):
    monkeypatch.setattr(shipping, "_roots", lambda: [packed.parent])
    copy, names = shipping.shutil.copyfile, []

    def cut(source, target):
        names.append(source.name)
        target.write_bytes(source.read_bytes()[:100])
        if source.name == "best.pt":
            raise KeyboardInterrupt

    monkeypatch.setattr(shipping.shutil, "copyfile", cut)
    with pytest.raises(KeyboardInterrupt):
        choose_run("", tmp_path)
    run = Run(SHIPPED, tmp_path)
    assert names[-1] == "best.pt" and not run.exists() and not list(run.models.glob(".*"))
    monkeypatch.setattr(shipping.shutil, "copyfile", copy)
    assert load_run(choose_run("", tmp_path))[0]


def test_a_place_for_the_weights_that_cannot_be_written_gets_a_sentence(monkeypatch, packed, tmp_path):
    monkeypatch.setattr(shipping, "_roots", lambda: [packed.parent])
    (tmp_path / "models").write_text("a file where a folder should be")
    with pytest.raises(InputError, match="could not be copied to .*--out"):
        choose_run("", tmp_path)


@pytest.mark.parametrize("name", ["my run", "it's", "-x", "$(touch harm)", "plain"])
def test_what_stands_in_made_txt_can_be_pasted_into_a_shell(trained, small_set, name, tmp_path):
    saved = load_run(trained[0])[1]
    commands = packing._commands([(Run(name, tmp_path), saved)], tmp_path / name)
    train, again = (shlex.split(line)[3:] for line in commands)
    assert build_parser().parse_args(train).name == build_parser().parse_args(again).run == name


def test_without_any_weights_the_sentence_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr(shipping, "_roots", list)
    with pytest.raises(InputError, match="notebook 02"):
        choose_run("", tmp_path)


@pytest.mark.parametrize("name, beta", [(SHIPPED_RUNS[0], 0.5), (SHIPPED_RUNS[1], 16.0)])
def test_the_weights_that_come_with_the_project_are_what_they_are_said_to_be(name, beta):
    folder = Path(__file__).resolve().parents[2] / "VAE" / "models" / name
    assert (folder / "best.pt").stat().st_size <= 16e6
    model, saved = load_checkpoint(folder / "best.pt")
    assert (model.config.image_size, model.config.latent_dim) == (128, 128)
    assert model.config.widths == (32, 64, 128, 256, 512)
    assert saved["train_config"]["beta"] == beta
    pictures = open_pictures(**saved["data"]["request"] | {"progress": False})
    scores = evaluate(model, pictures.pictures, pictures.split.test)
    said = dict(line.split() for line in (folder / "made.txt").read_text().split("\ntest part")[1].splitlines()[1:])
    assert scores.psnr == pytest.approx(float(said["psnr"]), abs=0.5)  # of some 100 pictures, said of thousands
    # Latents are on the scale of the prior, as 512 pictures tell it: means of 841 others are off by 0.06, the worst of
    # all these latents by three times that.
    mu, logvar = encode_pictures(model, pictures.pictures[pictures.split.train])
    variance = mu.var(dim=0) + logvar.exp().mean(dim=0)
    assert mu.mean(dim=0).abs().max() < 0.2 and (variance - 1).abs().max() < 0.2


def test_the_two_that_come_with_the_project_can_be_compared(tmp_path):
    about = [read_about(shipping.shipped_folder(name) / "best.pt") for name in SHIPPED_RUNS]
    assert same_set(*(each["data"] for each in about))
    pictures = open_pictures("butterflies", 128, limit=64, cache_dir=tmp_path, progress=False)
    dial = runs_on(pictures, tmp_path)
    assert [(run.name, run.beta) for run in dial] == [(SHIPPED_RUNS[0], 0.5), (SHIPPED_RUNS[1], 16.0)]
    assert dial[0].rate > dial[1].rate and dial[0].distortion < dial[1].distortion  # the bargain that β strikes

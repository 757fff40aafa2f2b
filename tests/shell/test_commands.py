import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vae_helpers.__main__ import main
from vae_helpers.errors import InputError
from vae_helpers.latent import walk
from vae_helpers.runs import Run, load_checkpoint, load_run, save_checkpoint
from vae_helpers.settings import TrainConfig
from vae_helpers.shell import COMMANDS

PROJECT = Path(__file__).resolve().parents[2]
TINY = "--image-size 32 --latent-dim 8 --limit 60 --epochs 1 --batch-size 16 --out VAE --device cpu".split()


def run(capsys, *arguments):
    """`(status, standard output, standard error)` of one command."""
    try:
        status = main([str(a) for a in arguments])
    except SystemExit as stop:  # argparse leaves this way
        status = stop.code
    return status, *capsys.readouterr()


@pytest.fixture
def photos(tmp_path):
    """A folder of 24 JPEG pictures in two sub-folders."""
    rng = np.random.default_rng(0)
    for i in range(24):
        file = tmp_path / "photos" / ("cat", "dog")[i % 2] / f"{i}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.kron(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))).save(
            file
        )
    return tmp_path / "photos"


def test_a_folder_of_photos_goes_all_the_way(capsys, photos):
    status, out, _ = run(
        capsys,
        "train",
        "--data",
        photos,
        "--name",
        "mine",
        "--beta",
        2,
        "--num-samples",
        2,
        "--lr",
        0.001,
        "--seed",
        3,
        "--preset",
        "quick",
        *TINY,
    )
    assert status == 0 and "held-out PSNR" in out and Path("VAE/models/mine/last.pt").is_file()
    assert run(capsys, "reconstruct", "--run", "mine")[0] == 0
    a, b = photos / "cat" / "0.jpg", photos / "dog" / "1.jpg"
    for ending, frames in (("png", 1), ("gif", 8), ("webp", 8)):  # five steps there, three back
        status, _, _ = run(
            capsys, "interpolate", "--run", "mine", a, b, "--steps", 5, "--method", "slerp", "--save", f"p.{ending}"
        )
        assert status == 0
        assert getattr(Image.open(f"p.{ending}"), "n_frames", 1) in range(
            (frames + 1) // 2, frames + 1
        )  # WebP joins equal neighbours
    assert Image.open("p.png").size == (5 * 34 - 2, 32)


def test_objective_likelihood_and_knobs_are_chosen_on_the_shell(capsys):
    status, _, error = run(
        capsys,
        "train",
        "--name",
        "o",
        "--objective",
        "info",
        "--knob",
        "lambda=5",
        "--knob",
        "imq=1",
        "--likelihood",
        "laplace",
        "--scale",
        0.2,
        *TINY,
    )
    assert status == 0, error
    settings = load_checkpoint(Path("VAE/models/o/last.pt"))[1]["train_config"]
    assert (settings["objective"], settings["likelihood"], settings["scale"]) == ("info", "laplace", 0.2)
    assert settings["knobs"] == {"lambda": 5.0, "imq": 1.0}
    assert run(capsys, "reconstruct", "--run", "o")[0] == 0
    for wrong, words in (
        (("--objective", "vae"), "choose one of beta, capacity"),
        (("--knob", "gamma"), "NAME=VALUE"),
        (("--likelihood", "poisson"), "continuous-bernoulli"),
        (("--knob", "a=1"), "leave knobs out"),
    ):
        status, _, error = run(capsys, "train", "--name", "w", *wrong, *TINY)
        assert status == 2 and words in error and error.count("\n") == 1


def test_traverse_from_a_file_and_by_number(capsys, photos, trained):
    where = ("traverse", "--run", "small", "--out", trained[0].root)
    assert run(capsys, *where, "--image", photos / "cat" / "0.jpg", "--save", "t.png")[0] == 0
    assert run(capsys, *where, "--image", 1, "--save", "t.webp")[0] == 0
    assert Image.open("t.png").size[0] > 300 and Image.open("t.webp").n_frames > 10


def test_tour_writes_its_pictures_and_can_be_taken_again(capsys):
    status, out, _ = run(capsys, "tour", *TINY)
    assert status == 0 and "held-out PSNR" in out and "latents active" in out and "jupyter lab" in out
    psnr = load_run(Run("shipped_butterflies"))[1]["scores"]["psnr"]
    assert f"They open shipped_butterflies ({psnr:.1f} dB)" in out and 'RUN = "butterflies_ns_1_tour"' in out
    plots = Path("VAE/plots/butterflies_ns_1_tour")
    names = ("pictures", "losses", "reconstructions", "samples", "interpolations", "kinds_of_path", "latent_use")
    for name in names:
        assert (plots / f"{name}.png").is_file() and f"{name}.png" in out
    assert (plots / "path.gif").is_file() and Path("VAE/models/butterflies_ns_1_tour/chart.npz").is_file()
    assert run(capsys, "tour", *TINY)[0] == 0


@pytest.mark.parametrize("method, ending", [("geodesic", "html"), ("lerp", "png")])
def test_interpolate_takes_every_kind_of_path(capsys, trained, method, ending):
    status, out, _ = run(
        capsys,
        "interpolate",
        "--run",
        "small",
        "--out",
        trained[0].root,
        0,
        1,
        "--method",
        method,
        "--even",
        "--steps",
        4,
        "--save",
        f"p.{ending}",
    )
    assert status == 0 and f"p.{ending}" in out and Path(f"p.{ending}").stat().st_size > 1000


def test_interpolate_chooses_the_soundest_kind_that_can_be_drawn(capsys, trained, photos, monkeypatch):
    ends = sorted((photos / "cat").glob("*.jpg"))[:2]
    where = ("interpolate", *ends, "--run", "small", "--out", trained[0].root, "--steps", 3, "--save")
    kinds, walked = [], walk
    monkeypatch.setattr("vae_helpers.latent.walk", lambda *given: kinds.append(given[4]) or walked(*given))
    assert run(capsys, *where, "1.png")[0] == 0

    def no_chart(*_):
        raise InputError("no chart can be made here.")

    monkeypatch.setattr("vae_helpers.scores.chart_of_run", no_chart)
    status, out, error = run(capsys, *where, "2.png")
    assert status == 0 and "through codes of training pictures: no chart can be made here." in out + error
    assert run(capsys, *where, "3.png", "--method", "chart")[0] == 2

    def no_pictures(*_, **__):
        raise InputError("they are gone.")

    monkeypatch.setattr("vae_helpers.runs.open_for_run", no_pictures)
    status, out, error = run(capsys, *where, "4.png")
    assert (
        status == 0
        and "A straight line: other kinds of path need the run's pictures, and they are gone." in out + error
    )
    assert kinds == ["chart", "known", "lerp"]


def test_data_reports_on_a_folder_and_asks_for_one(capsys, photos):
    status, out, _ = run(capsys, "data", "--data", photos, "--image-size", 32)
    assert status == 0 and "24 pictures" in out and "0 skipped, 0 groups of near-duplicates" in out and "are few" in out
    status, _, error = run(capsys, "data")
    assert status == 2 and "--download butterfly" in error


@pytest.mark.parametrize("source", ["synthetic", "photos"])
def test_benchmark_measures_and_does_not_judge(capsys, photos, source):
    status, out, _ = run(
        capsys,
        "benchmark",
        "--data",
        source,
        "--image-size",
        32,
        "--batch-size",
        8,
        "--pairs",
        2,
        "--limit",
        60,
        "--epochs",
        1,
        "--seeds",
        2,
        "--plain-batch",
        8,
        "--no-compile",
        "--json",
        "b.json",
        "--device",
        "cpu",
    )
    assert status == 0
    result = json.loads(Path("b.json").read_text())
    assert [row["name"] for row in result["steps"]] == [
        "plain loop, float32 (A-A control)",
        "plain loop + channels-last + 16 bits",
        "this package",
        "the same with Muon, which learns more from a step",
    ]
    assert all(row["name"] in out and row["low"] <= row["ratio"] <= row["high"] for row in result["steps"])
    assert [row["low"] <= row["ratio"] <= row["high"] for row in result["end_to_end"]] == [True, True]
    assert set(result["memory"]) == {"plain", "ours"} and result["hardware"]["torch"] in out and "matrix" not in result
    learnt = result["learning"]
    assert [(row["name"], row["seed"]) for row in learnt["rows"][:3]] == [
        ("plain loop", 0),
        ("this package", 0),
        ("this package, to the plain loop's loss", 0),
    ] and len(learnt["rows"]) == 6
    assert all(row["seconds"] > 0 for row in learnt["rows"])


def test_benchmark_says_when_the_plain_loop_diverged(capsys):
    status, out, _ = run(
        capsys,
        "benchmark",
        "--image-size",
        32,
        "--parts",
        "learning",
        "--limit",
        60,
        "--epochs",
        2,
        "--plain-batch",
        8,
        "--plain-lr",
        10,
        "--json",
        "b.json",
        "--device",
        "cpu",
    )
    assert status == 0 and "| plain loop (diverged with 1 of 1 seeds) | – | – | – | – |" in out
    rows = json.loads(Path("b.json").read_text())["learning"]["rows"]
    assert [(row["name"], row["loss"] is None) for row in rows] == [("plain loop", True), ("this package", False)]


@pytest.mark.parametrize(
    "option, word", [("--pairs 1", "from 2 to"), ("--epochs 0", "from 1 to"), ("--parts cake", "cake")]
)
def test_benchmark_refuses_what_tells_nothing(capsys, option, word):
    status, _, error = run(capsys, "benchmark", "--image-size", 32, "--limit", 60, *option.split())
    assert status == 2 and word in error


def test_an_existing_run_asks_for_resume(capsys):
    command = ("train", "--data", "synthetic", "--name", "s", *TINY)
    assert run(capsys, *command)[0] == 0
    status, _, error = run(capsys, *command)
    assert status == 2 and "exists" in error
    assert run(capsys, *command, "--resume")[0] == 0
    status, _, error = run(capsys, *command, "--resume", "--objective", "factor")
    assert status == 2 and "started with objective beta" in error


@pytest.mark.parametrize(
    "options, why",
    [
        (("--objective", "middle"), "nothing draws what lies between two pictures"),
        (("--objective", "ada", "--pairs", "factors"), "does not know its factors"),
        (("--objective", "ada", "--pairs", "labels"), "has 1 class to train on"),
    ],
)
def test_what_photos_cannot_give_is_refused_before_these_are_decoded(capsys, photos, options, why):
    status, _, error = run(capsys, "train", "--data", photos / "cat", *options, "--name", "w", *TINY)
    assert status == 2 and why in error and "preparing" not in error
    assert not Run("w").models.exists()


def test_what_is_to_go_on_but_is_not_there_is_not_begun_anew(capsys):
    command = ("train", "--data", "synthetic", *TINY)
    status, _, error = run(capsys, *command, "--name", "typo", "--resume")
    assert status == 2 and "there is no run 'typo'" in error and not Run("typo").models.exists()


@pytest.mark.parametrize(
    "said, own",
    [
        (("--latent-dim", 4), "--latent-dim 8"),
        (("--decoder-norm", "batch"), "--decoder-norm instance"),
        (("--widths", "8,16,64"), "widths [8, 16, 32]"),
        (("--preset", "quick"), "preset none"),
        (("--likelihood", "laplace"), "likelihood gaussian"),
    ],
)
def test_a_run_that_goes_on_refuses_other_settings_than_its_own(capsys, monkeypatch, small_model, said, own):
    saved = {"train_config": asdict(TrainConfig(epochs=1, compile=True)), "step": 3}
    save_checkpoint(Run("s").last, small_model, **saved)
    status, _, error = run(
        capsys, "train", "--image-size", 32, "--limit", 60, "--name", "s", "--device", "cpu", "--resume", *said
    )
    assert status == 2 and f"started with {own}, which it keeps" in error and said[0] in error


@pytest.mark.parametrize("own, said", [(True, "--no-compile"), (False, "--compile")])
def test_a_run_that_goes_on_takes_its_steps_as_before(capsys, small_model, own, said):
    save_checkpoint(Run("s").last, small_model, train_config=asdict(TrainConfig(epochs=9, compile=own)), step=3)
    command = ("train", "--image-size", 32, "--limit", 60, "--name", "s", "--device", "cpu", "--resume")
    status, _, error = run(capsys, *command, said)
    assert status == 2 and f"started with compile {own}, which it keeps, not {not own}" in error


def test_a_run_that_goes_on_is_not_made_shorter(capsys, small_model):
    save_checkpoint(Run("s").last, small_model, train_config=asdict(TrainConfig(epochs=9)), step=3)
    command = ("train", "--image-size", 32, "--limit", 60, "--name", "s", "--device", "cpu", "--resume")
    status, _, error = run(capsys, *command, "--epochs", 4)
    assert status == 2 and "planned for 9 epochs, and --resume can only add" in error and "--epochs 4" in error


def test_a_run_that_goes_on_needs_nothing_said_again(capsys):
    command = ("train", "--limit", 60, "--image-size", 32, "--name", "s", "--device", "cpu")
    own = ("--latent-dim", 4, "--widths", "4,8,16", "--decoder-norm", "batch", "--batch-size", 16, "--seed", 2)
    assert run(capsys, *command, *own, "--preset", "quick", "--epochs", 2, "--stop-after", 1)[0] == 0
    assert run(capsys, *command, "--resume")[0] == 0
    saved = load_checkpoint(Run("s").last)[1]
    assert saved["epochs_closed"] == 2 and saved["config"]["latent_dim"] == 4
    assert saved["config"]["widths"] == [4, 8, 16] and saved["train_config"]["early_stop"] == 8
    assert run(capsys, *command, "--resume", "--epochs", 3, "--early-stop", 0)[0] == 0
    saved = load_checkpoint(Run("s").last)[1]
    assert saved["epochs_closed"] == 3 and saved["train_config"]["early_stop"] == 0


def test_a_run_that_starts_from_another_takes_its_shape_unless_another_is_said(capsys):
    shape = ("--image-size", 32, "--latent-dim", 4, "--widths", "4,8,16", "--decoder-norm", "batch")
    again = ("train", "--limit", 60, "--device", "cpu", "--epochs", 1, "--batch-size", 16)
    assert run(capsys, *again, *shape, "--name", "s")[0] == 0
    status, shown, _ = run(capsys, *again, "--name", "t", "--start-from", "s")
    assert status == 0 and "Begun with the weights of the run 's'" in shown
    saved = load_checkpoint(Run("t").last)[1]
    assert saved["config"] == load_checkpoint(Run("s").last)[1]["config"]
    assert saved["train_config"]["start_from"] == "s"
    assert run(capsys, *again[:-4], "--name", "t", "--resume", "--epochs", 2)[0] == 0  # its size need not be said
    for wrong, words in (
        (("--latent-dim", 8, "--start-from", "s"), "its model has --latent-dim 4, not --latent-dim 8"),
        (("--start-from", "nobody"), "there is no run 'nobody'"),
        (("--start-from", "../s"), "cannot name a run"),
    ):
        status, _, error = run(capsys, *again, "--name", "w", *wrong)
        assert status == 2 and words in error and error.rstrip().count("\n") == 0
    assert not Run("w").exists()


@pytest.mark.parametrize(
    "command, word",
    [
        ("train --data nowhere", "nowhere"),
        ("train --data empty", "empty"),
        ("train --data texts", "holds no"),
        ("train --data one", "two pictures"),
        ("train --image-size 100", "power of two"),
        ("train --epochs 0", "epochs"),
        ("train --epochs many", "no whole number"),
        ("train --decoder-norm layer", "--decoder-norm"),
        ("train --widths 8,x", "whole number from 1 to 8,192"),
        ("train --widths 8,16", "5 halvings"),
        ("train --widths 8,8,8,8,8 --preset quick --minutes 2", "give --image-size too"),
        ("reconstruct --run nobody", "nobody"),
        ("train --device cuda:99", "not available"),
        ("interpolate --run nobody a b", "nobody"),
        ("interpolate --run x a", "PICTURE"),
        ("dance", "invalid choice"),
        ("", "COMMAND"),
        ("train --name a/b --limit 20 --image-size 32", "cannot name a run"),
    ],
)
def test_bad_usage_and_bad_input_exit_2_with_one_sentence(capsys, tmp_path, command, word):
    for folder in ("empty", "texts", "one"):
        (tmp_path / folder).mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no picture")
    Image.new("RGB", (40, 40), "red").save(tmp_path / "one" / "red.png")
    status, _, error = run(capsys, *command.split())
    assert status == 2 and word in error
    said = [line for line in error.splitlines() if line.strip() and "picture/s" not in line]  # not the progress bar
    assert len(said) == 1


def test_bad_pictures_for_a_trained_run_get_a_sentence(capsys, tmp_path):
    assert run(capsys, "train", "--data", "synthetic", "--name", "s", *TINY)[0] == 0
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    for arguments, word in (
        ((tmp_path / "broken.jpg", 1), "broken.jpg"),
        (("none.jpg", 1), "none.jpg"),
        ((1, 999), "999"),
    ):
        status, _, error = run(capsys, "interpolate", "--run", "s", *arguments)
        assert status == 2 and word in error
    status, _, error = run(capsys, "interpolate", "--run", "s", 0, 1, "--save", "path.doc")
    assert status == 2 and ".gif" in error


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys, command):
    status, out, _ = run(capsys, command, "--help")
    assert status == 0 and "--out" in out and len(out.splitlines()) > 8


def test_the_shell_door_opens_from_anywhere(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "vae_helpers", "reconstruct", "--run", "nobody"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"},
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "nobody" in done.stderr


def test_scores_that_are_no_numbers_are_no_success(capsys, small_model):
    with_absurd = {name: torch.full_like(value, 1e30) for name, value in small_model.decoder.state_dict().items()}
    small_model.decoder.load_state_dict(with_absurd)
    request = {"source": "synthetic", "image_size": 32, "limit": 60, "fit": "crop", "allow_bad": 0.01, "seed": 0}
    about = {"name": "butterflies", "pictures": 60, "request": request}
    save_checkpoint(Run("s").best, small_model, data=about, train_config=asdict(TrainConfig(epochs=1)))
    status, _, error = run(capsys, "reconstruct", "--run", "s", "--device", "cpu")
    assert status == 2 and "no finite numbers" in error

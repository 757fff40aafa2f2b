import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn

from vae_helpers.__main__ import main
from vae_helpers.data import Factor
from vae_helpers.errors import InputError
from vae_helpers.runs import LATER_SCORES, Run, load_checkpoint, read_scalars, save_checkpoint
from vae_helpers.scores import (
    ScoreOptions,
    evaluate,
    evaluate_run,
    evaluation,
    headline,
    likelihood,
    log_scores,
    save_scores,
    score_table,
    uniform_factors,
)
from vae_helpers.scores import picture_quality as picture_scores

FEW = ScoreOptions(pictures=8, likelihood=3, samples=2, codes=120, frames=0)
MORE = FEW._replace(samples=4)


def _absent(*_, **__):
    raise InputError("the weights are not there.")


@pytest.fixture(autouse=True, scope="module")
def offline():
    """No test asks a server for weights."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(picture_scores, "load_lpips", _absent)
        patch.setattr(evaluation, "load_inception", _absent)
        yield


@pytest.fixture
def own_run(trained, tmp_path):
    """A copy of the small run, to write into."""
    run, result = trained
    shutil.copytree(run.root, tmp_path / "VAE")
    return Run(run.name, tmp_path / "VAE"), result.model, load_checkpoint(run.last)[1]["train_config"]


@pytest.fixture(scope="module")
def scored(offline, trained, small_set):
    """Everything about the small run, from few pictures."""
    return evaluate_run(trained[1].model, small_set, {"beta": 1.0}, MORE)


def test_every_number_is_that_of_its_own_function(scored, trained, small_set):
    model = trained[1].model
    assert scored["pictures"] == min(8, len(small_set.split.validation)) and scored["set"] == "butterflies"
    rows = small_set.split.validation
    rows = rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:8])]
    known = evaluate(model, small_set.pictures, rows)
    assert scored["picture_quality"]["psnr"] == pytest.approx(known.psnr, abs=0.05)  # of whole pixel values, not floats
    assert scored["latents"]["kl"] == pytest.approx(known.kl, rel=1e-4)
    assert scored["latents"]["active_units"] == known.active_units
    few = rows[np.sort(np.random.default_rng(0).permutation(len(rows))[:3])]
    assert scored["likelihood"]["iwae"] == pytest.approx(likelihood(model, small_set.pictures, few, samples=4).iwae)
    factors = scored["disentanglement"]
    assert factors["active_latents"] == known.summary.active.tolist()
    assert factors["pictures"] == "pictures drawn for this"
    assert np.shape(factors["dci"]["importance"]) == np.shape(factors["mig"]["information"]) == (known.active_units, 14)
    for name in ("mig", "modularity", "sap", "dci"):
        assert factors[name]["basis"]["n"] == 120 and factors[name]["basis"]["latents"] == known.active_units
    assert factors["mig"]["basis"]["factors"][0] == "wing_hue"


def test_scores_go_through_json_and_repeat(scored, trained, small_set):
    assert evaluate_run(trained[1].model, small_set, {"beta": 1.0}, MORE) == scored
    assert json.loads(save_scores(scored, Path("deep/er/scores.json")).read_text()) == scored


def test_the_table_has_a_line_for_all_of_it(scored):
    text = score_table(scored)
    for word in (
        "PSNR",
        "SSIM",
        "MS-SSIM",
        "LPIPS",
        "FID, KID",
        "ELBO",
        "IWAE",
        "bits per dimension",
        "total correl",
        "MIG",
        "20 bins",
        "n = 120",
        "14 factors",
        "FactorVAE",
        "batches of",
        "DCI completeness",
        "mean cod",
    ):
        assert word in text, word
    assert "nan" not in text and "None" not in text


def test_what_cannot_be_had_says_why(trained, small_set):
    photos = replace(small_set, factors=None, factor_table=None)
    result = evaluate_run(trained[1].model, photos, {"beta": 1.0, "likelihood": "ssim"}, FEW)
    text = score_table(result)
    for sentence in ("the weights are not there.", "does not know its factors", "no probability density"):
        assert sentence in text
    assert set(headline(result)) == {"psnr", "ssim", "ms_ssim", "mutual_information", "total_correlation"}


def test_a_collapsed_model_is_told(small_model, small_set):
    for parameter in (*small_model.encoder.mu.parameters(), *small_model.encoder.logvar.parameters()):
        torch.nn.init.zeros_(parameter)
    result = evaluate_run(small_model, small_set, {"beta": 1.0}, FEW)
    assert "0 of the latents are active" in score_table(result) and result["latents"]["kl"] == 0


def test_only_active_latents_are_scored_on_factors(small_model, small_set):
    for parameter in (small_model.encoder.mu.weight, small_model.encoder.mu.bias):
        parameter.data[[0, 5]] = 0
    found = evaluate_run(small_model, small_set, {"beta": 1.0}, FEW)["disentanglement"]
    active = found["active_latents"]
    assert 2 <= len(active) <= 6 and not {0, 5} & set(active)
    for matrix in (found["mig"]["information"], found["dci"]["importance"], found["factor_vae"]["votes"]):
        assert np.shape(matrix) == (len(active), 14)


def test_fid_and_lpips_where_there_are_weights(trained, small_set, monkeypatch):
    class Means(nn.Module):
        def forward(self, pictures):
            return pictures.double().mean(dim=(2, 3))

    monkeypatch.setattr(evaluation, "load_inception", lambda *_: Means())
    monkeypatch.setattr(picture_scores, "load_lpips", lambda **_: lambda a, b: (a - b).abs().mean(dim=(1, 2, 3)))
    result = evaluate_run(trained[1].model, small_set, {"beta": 1.0}, FEW)
    found = headline(result)
    assert found["lpips"] > 0 and found["fid"] == result["picture_quality"]["reconstructions"]["fid"]
    assert result["picture_quality"]["samples"]["decoded"] == result["pictures"]
    assert score_table(result).count("quote KID, because FID is biased") == 2
    assert set(found) == {"psnr", *LATER_SCORES}  # a column for each, and each has a value


def test_a_file_with_known_factors_is_grouped(trained, small_set):
    """Another source than the built-in sets: its own pictures, of few values each, are all there is."""
    table = (Factor("hue", 0, 3, ""), Factor("kind", 0, 1, "", ("a", "b")), Factor("always", 0, 1, ""))
    factors = np.floor(uniform_factors(table, len(small_set), np.random.default_rng(0)))
    factors[:, 2] = 1
    other = replace(small_set, factors=factors, factor_table=table, source="shapes.h5")
    found = evaluate_run(trained[1].model, other, {"beta": 1.0}, FEW)["disentanglement"]
    assert found["pictures"] == "the whole set, training part included"
    assert found["mig"]["basis"]["factors"] == ["hue", "kind"]  # one that never changes has no score
    assert 0 <= found["factor_vae"]["score"] <= 1 and found["factor_vae"]["batch"] >= 2


def test_scores_are_appended_to_a_finished_run(own_run, scored):
    run, model, settings = own_run
    before = read_scalars(run.tensorboard)
    assert log_scores(run, scored, settings, model)
    after = read_scalars(run.tensorboard)
    assert {name: steps.tolist() for name, (steps, _) in before.items()}.items() <= {
        name: steps.tolist() for name, (steps, _) in after.items()
    }.items()  # nothing that was there is hidden
    steps, values = after["score/mig"]
    assert steps.tolist() == [3] and values[0] == pytest.approx(scored["disentanglement"]["mig"]["score"])
    events = EventAccumulator(str(run.tensorboard))
    events.Reload()
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")
    assert log_scores(run, scored | {"part": "test"}, settings, model)
    assert read_scalars(run.tensorboard)["test/mig"][0].tolist() == [3]  # beside, not in place of, validation's


def test_a_run_that_may_still_train_is_left_alone(own_run, scored, capsys):
    run, model, settings = own_run
    _, saved = load_checkpoint(run.last)
    saved = {key: value for key, value in saved.items() if key not in ("format", "config")}
    save_checkpoint(run.last, model, **saved | {"finished": False})
    files = sorted(run.tensorboard.iterdir())
    assert not log_scores(run, scored, settings, model) and "not reached its end" in capsys.readouterr().err
    assert sorted(run.tensorboard.iterdir()) == files
    assert not log_scores(Run("nobody", run.out), scored, settings, model)


def test_the_command_prints_and_writes(own_run, capsys):
    run, _, _ = own_run
    command = f"evaluate --run {run.name} --out {run.root} --device cpu --quick --samples 2"
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert "MIG" in out and "scores.json" in out and "validation part" in out
    kept = json.loads((run.plots / "scores.json").read_text())
    assert kept["run"] == run.name and kept["likelihood"]["samples"] == 2 and kept["options"]["codes"] == 1000
    assert "score/mig" not in read_scalars(run.tensorboard)  # a quick look is no entry


@pytest.mark.parametrize(
    "arguments, word",
    [
        (["--part", "training"], "choose one of validation, test"),
        (["--samples", "many"], "from 1 to 100,000"),
        (["--run", "nobody"], "nobody"),
    ],
)
def test_bad_usage_of_the_command_gets_a_sentence(capsys, arguments, word):
    try:
        status = main(["evaluate", *arguments])
    except SystemExit as stop:
        status = stop.code
    assert status == 2 and word in capsys.readouterr().err


def test_bad_input_gets_a_sentence(trained, small_set, tmp_path):
    model = trained[1].model
    with pytest.raises(InputError, match="'training' does not exist"):
        evaluate_run(model, small_set, {"beta": 1.0}, ScoreOptions(part="training"))
    alone = replace(small_set, names=("a/b", "c/d"), pictures=small_set.pictures[:2])
    with pytest.raises(InputError, match="too few to score"):
        evaluate_run(model, alone, {"beta": 1.0}, ScoreOptions(part="test"))
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="scores.json cannot be written, because a file stands where"):
        save_scores({}, tmp_path / "file" / "scores.json")

import errno

import numpy as np
import pytest
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from vae_helpers.errors import InputError
from vae_helpers.runs import LATER_SCORES, Logbook, read_scalars
from vae_helpers.runs import log as logbook


def _read(folder):
    return EventAccumulator(str(folder), size_guidance={"images": 0, "histograms": 0}).Reload()


def test_scalars_come_back_as_written(tmp_path):
    with Logbook(tmp_path / "log") as book:
        for epoch in (1, 2, 3):
            book.scalars(epoch, {"a/b": epoch / 3, "c": 1e9 * epoch})
    log = read_scalars(tmp_path / "log")
    assert log["a/b"][0].tolist() == [1, 2, 3] and np.allclose(log["a/b"][1], [1 / 3, 2 / 3, 1])
    assert np.allclose(log["c"][1], [1e9, 2e9, 3e9])


def test_pictures_and_histograms_are_what_tensorboard_shows(tmp_path, noise_pictures):
    with Logbook(tmp_path) as book:
        book.picture(4, "sheet", noise_pictures[0])
        book.histogram(4, "kl", np.array([0.0, 0.0, 0.0, 5.0]))
    events = _read(tmp_path)
    (image,) = events.Images("sheet")
    assert (image.step, image.height, image.width) == (4, 32, 32)
    (histogram,) = events.Histograms("kl")
    assert histogram.histogram_value.num == 4 and histogram.histogram_value.max == 5.0


def test_a_resumed_run_has_no_step_twice(tmp_path):
    for first, last, value in ((1, 4, 1.0), (3, 5, 2.0), (4, 6, 3.0)):  # killed after 4, on from 2; after 5, on from 3
        with Logbook(tmp_path, first_epoch=first) as book:
            for epoch in range(first, last + 1):
                book.scalars(epoch, {"x": value})
    shown = [(event.step, event.value) for event in _read(tmp_path).Scalars("x")]
    assert shown == [(1, 1.0), (2, 1.0), (3, 2.0), (4, 3.0), (5, 3.0), (6, 3.0)]
    assert read_scalars(tmp_path)["x"][1].tolist() == [1, 1, 2, 3, 3, 3]


@pytest.mark.parametrize(
    "name", ["1700000000 (1).host.1", "1700000000", "", "copy", "x.y.z", "\u00b2.host.1", "9" * 40 + ".host"]
)
def test_odd_files_beside_the_log_disturb_neither_writing_nor_reading(tmp_path, name):
    with Logbook(tmp_path) as book:
        book.scalars(1, {"x": 1.0})
    (tmp_path / f"events.out.tfevents.{name}").touch()
    with Logbook(tmp_path, first_epoch=2) as book:
        book.scalars(2, {"x": 2.0})
    assert read_scalars(tmp_path)["x"][1].tolist() == [1, 2]


def test_a_run_begun_anew_hides_what_the_one_before_wrote(tmp_path):
    for epochs in (4, 2):
        with Logbook(tmp_path, first_epoch=1) as book:
            for epoch in range(1, epochs + 1):
                book.scalars(epoch, {"x": epochs})
    assert read_scalars(tmp_path)["x"][1].tolist() == [2, 2]


def test_sessions_within_one_second_are_read_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(logbook.time, "time", lambda: 1_700_000_000.5)
    monkeypatch.setattr(logbook.os, "getpid", iter([9, 8, 7]).__next__)  # which would sort them backwards
    for first in (1, 2, 3):
        with Logbook(tmp_path, first_epoch=first) as book:
            book.scalars(first, {"x": first})
    assert [event.step for event in _read(tmp_path).Scalars("x")] == [1, 2, 3]


def test_a_log_cut_in_the_middle_of_a_record_reads_up_to_there(tmp_path):
    with Logbook(tmp_path) as book:
        for epoch in (1, 2):
            book.scalars(epoch, {"x": epoch})
    (file,) = tmp_path.glob("events*")
    file.write_bytes(file.read_bytes()[:-7])
    with Logbook(tmp_path, first_epoch=2) as book:
        book.scalars(2, {"x": 5})
    assert read_scalars(tmp_path)["x"][1].tolist() == [1, 5]


def test_a_full_disk_leaves_a_gap_and_one_line_not_a_traceback(tmp_path, monkeypatch, capsys):
    write, full = logbook._Whole.write, [False]

    def limited(self, data):
        if full[0]:
            write(self, data[:10])  # a part still fits
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, data)

    monkeypatch.setattr(logbook._Whole, "write", limited)
    with Logbook(tmp_path) as book:
        for epoch in range(1, 7):
            full[0] = epoch in (3, 4)
            book.scalars(epoch, {"x": epoch, "y": epoch})
            book.flush()
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert read_scalars(tmp_path)["y"][0].tolist() == [1, 2, 5, 6]


def test_a_log_that_cannot_be_opened_does_not_stop_anything(tmp_path, capsys, noise_pictures):
    (tmp_path / "file").write_text("a file where the folder should be")
    with Logbook(tmp_path / "file") as book:
        book.scalars(1, {"x": 1.0})
        book.picture(1, "p", noise_pictures[0])
        book.projector(np.zeros((2, 3)), ["a", "b"], noise_pictures[:2])
    assert capsys.readouterr().err.count("will have gaps") == 1


def test_nothing_written_leaves_no_file(tmp_path):
    Logbook(tmp_path / "log", first_epoch=7).close()
    assert not (tmp_path / "log").exists()
    with pytest.raises(InputError, match="no training log"):
        read_scalars(tmp_path / "log")


def test_hyper_parameters_carry_settings_and_scores(tmp_path):
    with Logbook(tmp_path) as book:
        settings = {"lr": 0.1, "flip": True, "schedule": "thirds", "widths": [1, 2], "exact": None}
        book.hyper_parameters(5, settings, {"psnr": 20.5})
    events = _read(tmp_path)
    data = {key: HParamsPluginData.FromString(value) for key, value in events.PluginTagToContent("hparams").items()}
    start = data["_hparams_/session_start_info"].session_start_info.hparams
    assert start["lr"].number_value == 0.1 and start["flip"].number_value == 1
    assert start["widths"].string_value == "[1, 2]" and start["exact"].string_value == "None"
    columns = [metric.name.tag for metric in data["_hparams_/experiment"].experiment.metric_infos]
    assert columns == ["score/psnr", *(f"score/{name}" for name in LATER_SCORES)]  # room for what `evaluate` adds
    assert [(event.step, event.value) for event in events.Scalars("score/psnr")] == [(5, 20.5)]


def test_the_projector_finds_codes_names_and_thumbnails(tmp_path, noise_pictures):
    codes = np.random.default_rng(0).normal(size=(10, 3))
    for _ in range(2):  # the second time replaces the first
        Logbook(tmp_path).projector(codes, [f"a\t{i}\n" for i in range(10)], noise_pictures[:10])
    config = text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), ProjectorConfig())
    (embedding,) = config.embeddings
    assert np.allclose(np.loadtxt(tmp_path / embedding.tensor_path), codes, atol=1e-4)
    assert (tmp_path / embedding.metadata_path).read_text().splitlines() == [f"a {i}" for i in range(10)]
    assert list(embedding.sprite.single_image_dim) == [32, 32]
    sprite = np.array(Image.open(tmp_path / embedding.sprite.image_path))
    assert sprite.shape == (128, 128, 3)  # 4 × 4 places, row by row
    assert np.array_equal(sprite[32:64, 64:96], noise_pictures[6]) and not sprite[64:96, 64:].any()


def test_a_run_logs_what_it_promises(trained):
    run, result = trained
    events = _read(run.tensorboard)
    assert events.Tags()["images"] == ["generated", "reconstructed", "interpolation"]
    assert [event.step for event in events.Images("interpolation")] == [3]
    histograms = events.Histograms("kl_per_dimension")
    assert [event.step for event in histograms] == [1, 2, 3] and histograms[-1].histogram_value.num == 8
    assert {"beta", "learning_rate", "images_per_second", "active_units/held_out"} <= set(events.Tags()["scalars"])
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")
    assert events.Scalars("score/psnr")[0].value == pytest.approx(result.scores.psnr)
    assert len(np.loadtxt(run.tensorboard / "projector" / "codes.tsv", ndmin=2)) == result.scores.pictures

"""Whatever writes a file: cut short, the file before it is whole; refused, there is one sentence."""

import errno
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from vae_helpers.errors import InputError
from vae_helpers.files import write_aside, writing
from vae_helpers.runs import Logbook, draw
from vae_helpers.scores import save_scores
from vae_helpers.show import figures, save_frames, save_png

FRAMES = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
WRITERS = {
    **{f"frames{ending}": lambda place: save_frames(FRAMES, place) for ending in (".png", ".gif", ".webp", ".html")},
    "picture.png": lambda place: save_png(FRAMES[0], place),
    "figure.png": lambda place: figures.save(figures.show_grid(FRAMES), place),
    "figure.svg": lambda place: figures.save(figures.show_grid(FRAMES), place),
    "scores.json": lambda place: save_scores({"psnr": list(range(2000))}, place),
    "names.csv": lambda place: write_aside(place, "a name\n" * 2000),
}
PROJECTOR = ("projector/codes.tsv", "projector/names.tsv", "projector/sprite.png", "projector_config.pbtxt")
can_fork = pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="the writer is forked")


def names_in(folder):
    return sorted(str(file.relative_to(folder)) for file in Path(folder).rglob("*") if file.is_file())


def write_beyond(limit, write, killed):
    """`write()` in a process that the system stops, or only refuses, at this many bytes of a file: its exit code."""
    import resource

    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL if killed else signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        write()
    except (InputError, OSError) as problem:
        os._exit(3 if "arge" in str(problem) else 4)  # "File too large"
    finally:
        os._exit(5)


@can_fork
@pytest.mark.parametrize("killed", [True, False])
@pytest.mark.parametrize("name", WRITERS)
def test_cut_in_the_middle_the_file_before_is_whole(tmp_path, name, killed):
    place = tmp_path / name
    place.write_text("the old one")
    code = write_beyond(1000, lambda: WRITERS[name](place), killed)
    assert code == (-signal.SIGXFSZ if killed else 3)
    assert place.read_text() == "the old one"
    left = [file for file in tmp_path.iterdir() if file != place]
    assert len(left) == killed  # only a dead process cannot clean up, so the next one does, when it is surely dead
    for file in left:
        assert file.stat().st_size == 1000
    WRITERS[name](place)
    assert len(list(tmp_path.iterdir())) == 1 + killed
    for file in left:
        os.utime(file, (0, file.stat().st_mtime - 3600))
    WRITERS[name](place)
    assert names_in(tmp_path) == [name] and place.stat().st_size > 1000


@can_fork
def test_a_projector_is_never_torn(tmp_path):
    def write(book=None):
        Logbook(tmp_path).projector(np.zeros((4, 9000)), ["x" * 2000] * 4, FRAMES[:4])

    write()
    before = {name: (tmp_path / name).read_bytes() for name in PROJECTOR}
    assert write_beyond(1000, write, killed=True) == -signal.SIGXFSZ
    assert before == {name: (tmp_path / name).read_bytes() for name in PROJECTOR}


@pytest.mark.parametrize(
    "code, words",
    [
        (errno.ENOSPC, "because the disk is full: free some space"),
        (errno.EROFS, "because the disk is read-only: save it elsewhere"),
        (errno.EIO, "the disk does not work"),
        (errno.EINVAL, "Invalid argument"),
    ],
)
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "names.csv"])
def test_a_disk_that_fails_gets_one_sentence(tmp_path, monkeypatch, name, code, words):
    def fails(*_):
        raise OSError(code, os.strerror(code))

    (tmp_path / name).write_text("the old one")
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(InputError, match=f"{name} cannot be written, {words if 'because' in words else ''}") as problem:
        WRITERS[name](tmp_path / name)
    assert words in str(problem.value) and "\n" not in str(problem.value)
    assert names_in(tmp_path) == [name] and (tmp_path / name).read_text() == "the old one"


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "names.csv"])
def test_places_that_hold_no_file_are_refused(tmp_path, name):
    ending = Path(name).suffix
    (tmp_path / f"folder{ending}").mkdir()
    (tmp_path / "file").touch()
    for place, words in (
        (f"folder{ending}", "it is a folder"),
        (f"file/x{ending}", "a file stands where a folder"),
        (f"file/y/x{ending}", "a file stands where a folder"),
        ("x" * 300 + ending, "the name is too long"),
        (f"\ud800{ending}", "characters that this system cannot store"),
    ):
        with pytest.raises(InputError, match=f"cannot be written, because .*{words}.*: save it elsewhere"):
            WRITERS[name](tmp_path / place)
    assert names_in(tmp_path) == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_device_is_not_replaced_by_a_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="it is no file but a device"):
        save_png(FRAMES[0], tmp_path / "pipe.png")
    assert (tmp_path / "pipe.png").is_fifo()


def test_a_link_goes_on_pointing_to_what_is_written(tmp_path):
    (tmp_path / "link.png").symlink_to(tmp_path / "there.png")
    for _ in range(2):
        save_png(FRAMES[0], tmp_path / "link.png")
        assert (tmp_path / "link.png").is_symlink() and names_in(tmp_path) == ["link.png", "there.png"]


def test_what_is_written_is_readable_by_those_who_may(tmp_path):
    before = os.umask(0o022)
    try:
        assert os.name == "nt" or save_png(FRAMES[0], tmp_path / "a.png").stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_an_interrupt_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), writing(tmp_path / "a.png") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert names_in(tmp_path) == []


def test_names_that_are_not_utf8_are_written(tmp_path, small_model):
    name = os.fsdecode(b"caf\xe9.jpg") if os.fsdecode(b"\xe9") == "\udce9" else "caf\udce9.jpg"
    page = save_frames(FRAMES, tmp_path / "a.html", title=name, captions=[name] * 5).read_text("utf-8")
    assert "<title>caf\\udce9.jpg</title>" in page
    Logbook(tmp_path).projector(np.zeros((2, 3)), [name] * 2, FRAMES[:2])
    assert (tmp_path / "projector" / "names.tsv").read_text("utf-8") == "caf\\udce9.jpg\n" * 2


def test_a_full_disk_does_not_stop_an_album(tmp_path, small_model, monkeypatch, capsys):
    from vae_helpers.runs import Run

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    run = Run("a", tmp_path)
    with Logbook(run.tensorboard) as book:
        monkeypatch.setattr(os, "fsync", full)
        draw(small_model, FRAMES, run, 1, 0, book)
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert [name for name in names_in(run.generated_images) if name.endswith((".png", ".aside"))] == []


def test_a_figure_of_an_unknown_kind_is_refused(tmp_path):
    for name, words in (("a.doc", "'doc' is not a kind of figure: end the name in .*.png"), ("a", "'no ending'")):
        with pytest.raises(InputError, match=words):
            figures.save(figures.show_grid(FRAMES), tmp_path / name)
    assert names_in(tmp_path) == []

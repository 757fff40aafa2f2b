"""A notebook in JupyterLab or Notebook 7, in a headless Chromium: start, run, press keys, time, photograph."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from vae_helpers.errors import InputError

ROOT = Path(__file__).resolve().parents[1]
WINDOW = {"width": 1400, "height": 1300}  # large enough for an explorer
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PRIVATE = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
)

_IDLE = """() => { const p = window.jupyterapp && window.jupyterapp.shell.currentWidget;
  const s = p && p.sessionContext && p.sessionContext.session;
  return !!(s && s.kernel && s.kernel.status === 'idle'); }"""
_CELLS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .filter(c => c.cell_type === 'code' && c.getSource().trim()).map(c => { const j = c.toJSON();
    return { count: j.execution_count, errors: (j.outputs || []).filter(o => o.output_type === 'error')
      .map(o => o.ename + ': ' + o.evalue) }; })"""
_RUNNING = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.widgets.filter(c => c.model.type === 'code');
  return cells[cells.length - 1].node.querySelector('.jp-InputPrompt').textContent.includes('*'); }"""
_FIND = """const e = document.querySelector('.' + name);
  const img = e && (e.matches('img') ? e : e.querySelector('img'));"""
# Inside the page: from keydown until the picture's new bytes have loaded. What loads before it was asked for earlier.
_WATCH = (
    "name => { "
    + _FIND
    + """ window.loaded = new Promise(done => document.addEventListener('keydown', () => {
    const began = performance.now();
    img.addEventListener('load', () => done(performance.now() - began), {once: true});
  }, {once: true, capture: true})); }"""
)
# Whether the explorer around the picture shows what it was last asked for.
_SETTLED = "name => { " + _FIND + " return !!img && !img.closest('.vae-explorer').matches('.vae-computing'); }"
_WAIT = "() => Promise.race([window.loaded, new Promise(r => setTimeout(() => r(-1), 5000))])"


def chromium() -> str | None:
    """A Chromium or Chrome on the PATH, or Playwright's own; None where there is neither."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if shutil.which(name):
            return shutil.which(name)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def server(root: Path, app: str = "jupyterlab", **environment: str):
    """Serve `root/work` by `python -m app` with settings of its own; yields the address of a file, given its name."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    token = secrets.token_hex(16)
    paths = {name: str(root / name.lower()) for name in _PRIVATE}
    quiet = Path(paths["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab"
    # No news pop-up; and every cell drawn at once, so that nothing depends on what is scrolled into view.
    for plugin, settings in (
        ("apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False}),
        ("notebook-extension/tracker", {"windowingMode": "none"}),
    ):
        file = quiet / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    (root / "work").mkdir(exist_ok=True)
    title = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}[app]
    command = [
        sys.executable,
        "-m",
        app,
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        f"--IdentityProvider.token={token}",
        f"--ServerApp.root_dir={root / 'work'}",
        f"--{title}.expose_app_in_browser=True",
    ]
    search = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with open(root / "server.log", "wb") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **paths, "PYTHONPATH": search, **environment},
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", process, root / "server.log")
        folder = "lab/tree" if app == "jupyterlab" else "notebooks"
        yield lambda name: f"http://127.0.0.1:{port}/{folder}/{name}?token={token}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        try:
            urllib.request.urlopen(address, timeout=2)
            return
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.25)
    raise InputError(f"the server did not start: {log.read_text()[-2000:]}")


# Inside the film: from keydown until the next frame that the browser draws with the new picture.
_FILM = """() => { const img = document.getElementById('picture'); let began = null;
  document.addEventListener('keydown', () => { began = performance.now(); }, {once: true, capture: true});
  window.drawn = new Promise(done => new MutationObserver((_, self) => { self.disconnect();
    img.decode().then(() => done(performance.now() - began)); })
    .observe(img, {attributes: true, attributeFilter: ['src']})); }"""

# How many elements lie wholly in the part of the notebook that is on the screen.
_IN_SIGHT = """selector => { const n = window.jupyterapp.shell.currentWidget.content;
  const r = n.outerNode.getBoundingClientRect();
  return [...document.querySelectorAll(selector)].map(e => e.getBoundingClientRect()).filter(b =>
    b.width && b.top >= r.top - 1 && b.bottom <= Math.min(r.bottom, window.innerHeight) + 1
    && b.left >= r.left - 1 && b.right <= Math.min(r.right, window.innerWidth) + 1).length; }"""


# What to know of a key that did nothing.
_FOCUS = """() => { const e = document.activeElement, n = window.jupyterapp.shell.currentWidget.content;
  const at = [...document.querySelectorAll('.vae-frame .noUi-handle')].map(h => h.getAttribute('aria-valuenow'));
  return `focus on ${e.tagName} .${e.className}, notebook in ${n.mode} mode, frame sliders at ${at}`; }"""


class Notebook:
    """A notebook open in a page; `pictures` is the folder for screenshots."""

    def __init__(self, page, address: str, pictures: Path):
        self.page, self._pictures = page, pictures
        pictures.mkdir(parents=True, exist_ok=True)
        page.goto(address, timeout=60_000)
        page.wait_for_function(_IDLE, timeout=60_000)

    def run_all(self, seconds: float = 400) -> float:
        """Run every cell; returns the seconds it took. Raises AssertionError with a cell's error."""
        # All cells of a notebook that was saved have numbers: its first idle moment would look like the end.
        self.command("notebook:clear-all-cell-outputs")
        while any(cell["count"] for cell in self.page.evaluate(_CELLS)):
            self.page.wait_for_timeout(50)
        began = time.monotonic()
        self.command("notebook:run-all-cells")
        while time.monotonic() - began < seconds:
            cells = self.page.evaluate(_CELLS)
            errors = [error for cell in cells for error in cell["errors"]]
            assert not errors, errors
            if all(cell["count"] for cell in cells) and self.page.evaluate(_IDLE):
                self.page.wait_for_timeout(500)  # the views of the last widgets
                return time.monotonic() - began
            self.page.wait_for_timeout(200)
        raise AssertionError(f"not every cell ran within {seconds} s")

    def run_last(self) -> None:
        """Start the last cell, and do not wait for it."""
        self.page.evaluate("""() => { const n = window.jupyterapp.shell.currentWidget.content;
          n.activeCellIndex = n.widgets.length - 1; n.deselectAll(); }""")
        self.command("notebook:run-cell")
        self.page.wait_for_function(_RUNNING, timeout=5000)

    def busy(self) -> bool:
        """Whether the last cell is running; the kernel's status tells of comm messages too."""
        return self.page.evaluate(_RUNNING)

    def finish(self) -> None:
        """Wait for the end of the last cell, where a test before this one has started it."""
        self.page.wait_for_function(f"() => !({_RUNNING})()", timeout=60_000)

    def command(self, name: str) -> None:
        """Execute one of the application's commands without waiting for its end."""
        self.page.evaluate("name => { window.jupyterapp.commands.execute(name); }", name)

    def source(self, picture: str) -> str:
        """The address of the picture with this class; each new content has another one."""
        return self.page.evaluate("name => { " + _FIND + " return img && img.src; }", picture)

    def press(self, slider: str, picture: str, key: str, times: int, which: int = 0) -> list[float]:
        """Press a key on a slider; milliseconds until the picture has changed, each time. Fails if it does not."""
        self.page.wait_for_function(_SETTLED, arg=picture, timeout=20_000)
        self.page.locator(f".{slider}").nth(which).locator(".noUi-handle, .ui-slider-handle").first.focus()
        took = []
        for _ in range(times):
            before = self.source(picture)
            self.page.evaluate(_WATCH, picture)
            self.page.keyboard.press(key)
            milliseconds = self.page.evaluate(_WAIT)
            changed = milliseconds >= 0 and self.source(picture) != before
            assert changed, f"{key} on .{slider} left .{picture} as it was; {self.page.evaluate(_FOCUS)}"
            took.append(milliseconds)
            self.page.wait_for_timeout(60)
        return took

    def press_film(self, film: str, key: str, times: int) -> list[float]:
        """The same inside the film with this class, which no kernel stands behind."""
        film = self.page.locator(f".{film} iframe").first.element_handle().content_frame()
        film.locator("body[data-ready]").wait_for(timeout=5000)
        film.locator("#slider").focus()
        took = []
        for _ in range(times):
            film.evaluate(_FILM)
            self.page.keyboard.press(key)
            took.append(film.evaluate("() => window.drawn"))
        return took

    def changes(self, picture: str, action) -> None:
        """Do something and wait until the picture changes; fails if it does not within five seconds."""
        before = self.source(picture)
        action()
        self.page.wait_for_function(
            "([name, before]) => { " + _FIND + " return img && img.src !== before; }",
            arg=[picture, before],
            timeout=5000,
        )

    def upload(self, explorer: str, file: Path) -> None:
        """Give a file to the upload button inside."""
        with self.page.expect_file_chooser() as chooser:
            self.page.locator(f"{explorer} button:has-text('Upload')").click()
        chooser.value.set_files(file)

    def in_sight(self, selector: str) -> int:
        """How many of the elements are wholly on the screen."""
        return self.page.evaluate(_IN_SIGHT, selector)

    def scroll_to(self, selector: str, block: str = "start") -> None:
        """Scroll until the first of the elements is at the start, centre or end of the screen."""
        self.page.locator(selector).first.evaluate("(e, block) => e.scrollIntoView({block})", block)
        self.page.wait_for_timeout(300)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.wait_for_timeout(800)

    def restart_kernel(self) -> None:
        """Start the kernel anew without running a cell."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.page.wait_for_function(_IDLE, timeout=60_000)

    def save_and_reopen(self) -> None:
        """Save the notebook with its outputs, and load the page again."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload()
        self.page.wait_for_function(_IDLE, timeout=60_000)

    def errors(self) -> list[str]:
        """What the explorers' status lines complain about."""
        return self.page.locator(".vae-status.vae-error").all_inner_texts()

    def photograph(self, selector: str, name: str) -> None:
        """Keep a picture of one element."""
        self.page.locator(selector).first.screenshot(path=self._pictures / f"{name}.png")


@contextmanager
def browser(path: str):
    """A headless Chromium; `new_page(viewport=WINDOW)` opens a page in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=_FLAGS)
        yield running
        running.close()


def spread(milliseconds: list[float]) -> str:
    """Latencies in one line."""
    return f"median {statistics.median(milliseconds):.0f} ms, worst {max(milliseconds):.0f} ms of {len(milliseconds)}"

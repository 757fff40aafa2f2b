"""Firefox by WebDriver BiDi: Playwright drives only a Firefox of its own."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import websocket

_KEYS = {"Home": "\ue011", "End": "\ue010"}


def firefox() -> str | None:
    """A Firefox on the PATH; None where there is none."""
    return next(filter(None, map(shutil.which, ("firefox", "firefox-esr"))), None)


class Tab:
    """The first tab of a Firefox that listens at an address; `heard` are its console lines and requests."""

    def __init__(self, address: str):
        self._socket = websocket.create_connection(address, timeout=60, suppress_origin=True)
        self._calls, self.heard = 0, []
        self._call("session.new", capabilities={})
        self._call("session.subscribe", events=["log.entryAdded", "network.beforeRequestSent"])
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def _call(self, method: str, **params) -> dict:
        self._calls += 1
        self._socket.send(json.dumps({"id": self._calls, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv())
            if answer.get("id") == self._calls:
                assert answer["type"] == "success", answer
                return answer["result"]
            self._hear(answer["method"], answer["params"])

    def _hear(self, event: str, params: dict) -> None:
        if event == "log.entryAdded":
            self.heard.append(params["text"])
        elif not params["request"]["url"].startswith(("file:", "data:", "blob:")):
            self.heard.append(params["request"]["url"])

    def open(self, address: str) -> None:
        """Go there, until all of it has loaded."""
        self._call("browsingContext.navigate", context=self._context, url=address, wait="complete")

    def evaluate(self, expression: str):
        """What a JavaScript expression, or the promise that it is, comes to."""
        target, wrapped = {"context": self._context}, f"(async () => JSON.stringify(await ({expression})))()"
        answer = self._call("script.evaluate", expression=wrapped, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def press(self, key: str) -> None:
        """Press a key on whatever has the focus."""
        steps = [{"type": kind, "value": _KEYS[key]} for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": steps}
        self._call("input.performActions", context=self._context, actions=[keyboard])


@contextmanager
def firefox_tab(profile: Path):
    """A headless Firefox without a network, which it is told to reach through a proxy that is not there."""
    settings = {"network.proxy.type": 1, "network.proxy.socks": "127.0.0.1", "network.proxy.socks_port": 9}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()]
    (profile / "user.js").write_text("\n".join(lines))
    command = [firefox(), "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        found = (re.search(r"WebDriver BiDi listening on (ws://\S+)", line) for line in process.stderr)
        address = next(filter(None, found))[1]
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop it
        yield Tab(f"{address}/session")
    finally:
        process.terminate()
        process.wait(30)

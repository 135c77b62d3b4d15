"""A headless Chromium for tests, spoken to through a pair of pipes (Chrome DevTools Protocol): no driver, no port."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
COMPLAINTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


def find_browser() -> str | None:
    """Path of a Chromium, None if there is none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """A tab. `complaints`: what the page wrote to its console; `requests`: what it asked for."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._rest = b""
        self._numbers = count(1)
        self._session: dict[str, str] = {}
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **self._session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, page: Path, width: int, dark: bool = False) -> None:
        """Load a page in a window of so many CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        for kept in (self._events, self.complaints, self.requests):
            kept.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._read()

    def run(self, expression: str) -> Any:
        """Value of a JavaScript expression in the page; what it throws fails the test."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key by its DOM name, such as Tab or ArrowRight."""
        codes = {"Tab": 9, "Enter": 13, "Space": 32, "End": 35, "Home": 36, "ArrowLeft": 37, "ArrowRight": 39}
        text = {"Enter": "\r", "Space": " "}.get(key, "")
        name = " " if key == "Space" else key
        for kind in ("keyDown" if text else "rawKeyDown", "keyUp"):
            more = {"text": text} if kind == "keyDown" else {}
            number = codes[key]
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=key, windowsVirtualKeyCode=number, **more)

    def write(self, text: str) -> None:
        """Put text into the field that has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, element: str, part: float = 0.5) -> None:
        """Click an element, given as an expression, at a part of its width."""
        place = self.run(
            f"(() => {{ const one = {element}; one.scrollIntoView({{block: 'center'}}); const box ="
            f" one.getBoundingClientRect(); return [box.left + box.width * {part}, box.top + box.height / 2]; }})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def picture(self, file: Path) -> None:
        """Keep the whole page as PNG."""
        answer = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(answer["data"]))

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            chunk = os.read(self._answers, 1 << 16)
            assert chunk, "Chromium has gone"
            self._rest += chunk
        text, self._rest = self._rest.split(b"\0", 1)
        message: dict[str, Any] = json.loads(text)
        if message.get("method") in COMPLAINTS:
            self.complaints.append(json.dumps(message["params"]))
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(message["params"]["request"]["url"])
        if "method" in message:
            self._events.append(message)
        return message


@contextmanager
def open_tab(browser: str, profile: Path, timeout: int = 120) -> Iterator[Tab]:
    """A tab of a fresh browser with a profile folder of its own; it is stopped at the end, or after `timeout` s."""
    command_in, command_out = os.pipe()
    answer_in, answer_out = os.pipe()

    # Chromium reads commands from file descriptor 3 and writes answers to 4.
    script = f'exec "$@" 3<&{command_in} 4>&{answer_out}'
    words = ["timeout", f"{timeout}", "bash", "-c", script, "browser", browser, *FLAGS, f"--user-data-dir={profile}"]
    process = subprocess.Popen(words, pass_fds=(command_in, answer_out), stderr=subprocess.DEVNULL)
    os.close(command_in)
    os.close(answer_out)
    try:
        yield Tab(command_out, answer_in)
    finally:
        os.close(command_out)
        process.terminate()
        process.wait(timeout=20)
        os.close(answer_in)

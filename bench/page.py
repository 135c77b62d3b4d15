"""The page of a build: bytes, time to draw it, time to its first paint in Chromium, and time of a move of a slider.

    python -m bench.page

Of the examples, and of a chain of three stages with 10,000 images in each data set. The page may have 2 MB, a move may
take 50 ms. Times are the best of some, of this machine; without a Chromium there are none of it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import offramp
from tests.helpers.browser import Tab, find_browser, open_tab
from tests.helpers.paths import EXAMPLES
from tests.helpers.trials import three_stages

MOST_BYTES, MOST_MILLISECONDS = 2_000_000, 50
SPECS = ("mnist/spec.yaml", "mnist/auto.yaml", "gate/spec.yaml", "motion/spec.yaml", "two-models/two-models.yaml")
IMAGES = 10_000
TRIES = 5
PAINT = "(performance.getEntriesByName('first-contentful-paint')[0] || {startTime: -1}).startTime"
# The slowest of moves over all of a slider, with what the browser has to lay out anew.
MOVE = """(() => {
    const inputs = document.querySelectorAll('.trial input[type=range]');
    if (!inputs.length) return -1;
    const times = [];
    for (let at = 0; at < 40; at++) {
        inputs[0].value = String(Math.round(at * Number(inputs[0].max) / 39));
        const begin = performance.now();
        inputs[0].dispatchEvent(new Event('input', {bubbles: true}));
        document.body.getBoundingClientRect();
        times.push(performance.now() - begin);
    }
    return Math.max(...times);
})()"""


def main() -> int:
    """Exit code 1 if a page is too large or a move too slow."""
    browser = find_browser()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        specs = {spec: EXAMPLES / spec for spec in SPECS}
        specs[f"three stages, {IMAGES:,} images"] = three_stages(folder, IMAGES)
        print(f"{'page':<32} {'bytes':>9} {'drawn':>8} {'first paint':>12} {'slowest move':>13}")
        if browser is None:
            return max(_row(spec, path, None) for spec, path in specs.items())
        with open_tab(browser, folder / "profile", timeout=600) as tab:
            return max(_row(spec, path, tab) for spec, path in specs.items())


def _row(name: str, spec: Path, tab: Tab | None) -> int:
    compared = offramp.compare(spec)
    begin = time.perf_counter()
    text = compared.page()
    drawn = time.perf_counter() - begin
    size = len(text.encode())
    paint, move = _times(text, tab) if tab else (-1.0, -1.0)
    times = [f"{one:.0f} ms" if one >= 0 else "-" for one in (1000 * drawn, paint, move)]
    print(f"{name:<32} {size:>9,} {times[0]:>8} {times[1]:>12} {times[2]:>13}")
    return int(size > MOST_BYTES or move > MOST_MILLISECONDS)


def _times(text: str, tab: Tab) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "page.html"
        page.write_text(text, encoding="utf-8")
        paints, moves = [], []
        for _ in range(TRIES):
            tab.open(page, 1280)
            # A first picture is painted after the page has loaded; asking for one waits for it.
            tab.call("Page.captureScreenshot", format="png")
            paints.append(float(tab.run(PAINT)))
            moves.append(float(tab.run(MOVE)))
    return min((one for one in paints if one >= 0), default=-1.0), min(moves)


if __name__ == "__main__":
    sys.exit(main())

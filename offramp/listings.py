"""Pages with listings that are printed by the code above them: a ```python or ```sh block, then `<!-- prints -->`.

The blocks of a page run in order, in a copy of the repository's folder without builds: Python in one namespace, sh with
`offramp` as a command. What they print stands behind the mark as a ```text block and is replaced here.
"""

from __future__ import annotations

import io
import os
import re
import sys
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path
from typing import Any

from offramp.configs.errors import CheckFailed
from offramp.host.programs import run_program

_LISTED = re.compile(
    r"^```(?P<language>python|sh)\n(?P<code>.*?)^```\n(?P<mark><!-- prints -->\n(?:```text\n.*?^```\n)?)?",
    re.DOTALL | re.MULTILINE,
)
_SECONDS = 300.0
_COMMAND = 'set -e -o pipefail; offramp() { "$OFFRAMP_PYTHON" -m offramp.cli "$@"; }\n'


def with_listings(page: str, root: Path) -> str:
    """The page with what its blocks print now. `root`: the folder of the repository.

    CheckFailed if a command fails; a Python block may raise anything.
    """
    names: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for entry in root.iterdir():
            if entry.name != "build" and not entry.name.startswith("."):
                Path(entry.name).symlink_to(entry)

        def listed(found: re.Match[str]) -> str:
            code, marked = found["code"], found["mark"] is not None
            printed = _python(code, names) if found["language"] == "python" else _shell(code, root)
            block = f"```{found['language']}\n{code}```\n"
            return block + (f"<!-- prints -->\n```text\n{_trimmed(printed)}\n```\n" if marked else "")

        return _LISTED.sub(listed, page)


def _python(code: str, names: dict[str, Any]) -> str:
    text = io.StringIO()
    with redirect_stdout(text):
        exec(compile(code, "listing", "exec"), names)
    return text.getvalue()


def _shell(code: str, root: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root), "OFFRAMP_PYTHON": sys.executable}
    environment.pop("COLUMNS", None)
    done = run_program(["bash", "-c", _COMMAND + code], Path.cwd(), "stdout", _SECONDS, environment)
    if done.status:
        raise CheckFailed(f"a listing ends with status {done.status}:\n{code}{done.text}")
    return done.text


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.rstrip("\n").splitlines())

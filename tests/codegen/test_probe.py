"""The probe in a firmware's folder: what the SDK builds with and without it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from offramp.codegen.c_templates import c_templates
from offramp.codegen.render import static_files
from offramp.host.files import write_tree

SHOW = """\
all:
\t@echo sources $(SRCS)
\t@echo paths $(IPATH)
\t@echo flags $(PROJ_CFLAGS)
\t@echo to $(notdir $(BUILD_DIR))
"""
GENERATED = {
    "Makefile": c_templates().get_template("Makefile.j2").render(external=False, probe=True),
    "project.mk": "TARGET = MAX78000\nBOARD ?= EvKit_V1\n",
    "src/main.c": "",
    "probe/model_probe.c": "",
}


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of an SDK that the Makefile includes; they show what they were given."""
    folder = tmp_path_factory.mktemp("sdk")
    files = {
        "Libraries/Boards/MAX78000/EvKit_V1/board.mk": "",
        "Libraries/PeriphDrivers/periphdriver.mk": "",
        "Libraries/CMSIS/Device/Maxim/MAX78000/Source/GCC/max78000.mk": SHOW,
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder


def made(firmware: Path, sdk: Path, options: Sequence[str]) -> dict[str, list[str]]:
    command = ["make", "-s", f"MAXIM_PATH={sdk}", *options]
    shown = subprocess.run(command, cwd=firmware, check=True, capture_output=True, text=True, timeout=30).stdout
    return {name: rest for name, *rest in (line.split() for line in shown.splitlines())}


def test_the_probe_takes_the_place_of_the_demonstration(tmp_path: Path, sdk: Path) -> None:
    write_tree(tmp_path / "firmware", static_files() | GENERATED)
    plain, probe = made(tmp_path / "firmware", sdk, []), made(tmp_path / "firmware", sdk, ["PROBE=1"])
    assert "main.c" in plain["sources"]
    assert not any("probe" in source for source in plain["sources"])
    assert {*probe["sources"]} == {*plain["sources"], "offramp_probe.c", "probe_main.c", "model_probe.c"} - {"main.c"}
    assert {"src", "probe", "include"} <= {*probe["paths"]}
    assert probe["to"] == ["build_probe"]


def test_values_of_a_layer_are_built_in_a_folder_of_their_own(tmp_path: Path, sdk: Path) -> None:
    write_tree(tmp_path / "firmware", static_files() | GENERATED)
    probe = made(tmp_path / "firmware", sdk, ["PROBE=1", "PROBE_VALUES=7"])
    assert "-DOFFRAMP_PROBE_VALUES=7u" in probe["flags"]
    assert probe["to"] == ["build_probe7"]

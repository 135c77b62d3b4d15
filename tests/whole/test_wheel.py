"""What is packed: `offramp` and nothing else, whole, and it works beside a user's packages of any name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from tests.helpers.specs import TINY, write_files

pytestmark = pytest.mark.slow

LINKED = ("configs", "planner", "codegen", "simulator")
SDIST = "import sys; from setuptools.build_meta import build_sdist; print(build_sdist(sys.argv[1]))"


def run(*words: str | Path, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(source: Path, folder: Path) -> Path:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    run("-m", "pip", "wheel", *options, "--wheel-dir", folder, source, folder=source)
    (wheel,) = folder.glob("*.whl")
    return wheel


def expected_files() -> set[str]:
    """All files of the five folders but documents, under the names that they are imported by."""
    found = set()
    for top in (*LINKED, "offramp"):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".md":
                name = path.relative_to(ROOT).as_posix()
                found.add(name if top == "offramp" else f"offramp/{name}")
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy: builds leave files in the folder that they build, and take what earlier ones left there."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in (*LINKED, "offramp"):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(checkout, tmp_path_factory.mktemp("wheel"))


def packed(wheel: Path) -> set[str]:
    """The files of a wheel without those that describe it."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_a_wheel_is_all_of_offramp_and_nothing_else(wheel: Path) -> None:
    assert packed(wheel) == expected_files()


def test_a_source_distribution_makes_the_same_wheel(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    """It has files where the checkout has links."""
    archive = run("-c", SDIST, tmp_path, folder=checkout).splitlines()[-1]
    with tarfile.open(tmp_path / archive) as file:
        assert not [member.name for member in file if member.issym() or member.islnk()]
    shutil.unpack_archive(tmp_path / archive, tmp_path)
    again = wheel_of(tmp_path / archive.removesuffix(".tar.gz"), tmp_path / "wheel")
    assert packed(again) == packed(wheel)


def test_it_works_beside_packages_with_the_names_of_its_folders(wheel: Path, tmp_path: Path) -> None:
    installed, own = tmp_path / "installed", tmp_path / "own"
    zipfile.ZipFile(wheel).extractall(installed)
    for name in LINKED:
        (own / name).mkdir(parents=True)
        (own / name / "__init__.py").write_text(f"raise ImportError('{name} of the user')\n")
    write_files(own)
    where = run("-c", "import offramp; print(offramp.__file__)", folder=own, PYTHONPATH=str(installed))
    assert Path(where.strip()).is_relative_to(installed)
    check = ("-m", "offramp.cli", "check", "main.yaml", "--checkpoint", "main.pth.tar", "--input", TINY.input)
    assert "main, input 4x6x6" in run(*check, folder=own, PYTHONPATH=str(installed))

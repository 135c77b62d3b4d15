"""Which models an image has: specs one by one, or a file that lists them."""

from __future__ import annotations

from pathlib import Path

import pytest

from offramp.cli import main
from offramp.configs.errors import InputError
from offramp.planner.spec.models import model_files
from tests.helpers.models import write_model


def listed(folder: Path, text: str) -> Path:
    path = folder / "image.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_lists_specs_relative_to_itself(tmp_path: Path) -> None:
    first, second = write_model(tmp_path, "a"), write_model(tmp_path, "b")
    files = model_files([listed(tmp_path, "offramp: 1\nname: both\nmodels: [a/spec.yaml, b/spec.yaml]\n")])
    assert (files.name, files.specs) == ("both", (first, second))
    assert model_files([first, second]).specs == (first, second)
    assert model_files([first, second]).name is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "offramp: 1\nmodels: [a/spec.yaml]\n",
            "yaml:2: `models: ['a/spec.yaml']`; 2 to 16 different specs",
        ),
        ("offramp: 1\nmodels: [a/spec.yaml, a/spec.yaml]\n", "2 to 16 different specs are expected"),
        ("offramp: 1\nmodels: [a/spec.yaml, c.yaml]\n", "there is no file"),
        ("offramp: 1\nmodels: [a/spec.yaml, image.yaml]\n", "is no spec, but a list of models itself"),
        ("offramp: 1\nmodels: [a/spec.yaml, b/spec.yaml]\nstages: []\n", "unknown key `stages`"),
        ("offramp: 2\nmodels: [a/spec.yaml, b/spec.yaml]\n", "reads format 1 of specs"),
    ],
)
def test_what_a_list_may_not_say(text: str, message: str, tmp_path: Path) -> None:
    write_model(tmp_path, "a")
    write_model(tmp_path, "b")
    with pytest.raises(InputError, match=r"image\.yaml") as caught:
        model_files([listed(tmp_path, text)])
    assert message in str(caught.value)


def test_a_list_is_given_alone(tmp_path: Path) -> None:
    spec = write_model(tmp_path, "a")
    write_model(tmp_path, "b")
    image = listed(tmp_path, "offramp: 1\nmodels: [a/spec.yaml, b/spec.yaml]\n")
    with pytest.raises(InputError, match="lists the models of an image itself; give it alone"):
        model_files([spec, image])
    with pytest.raises(InputError, match="2 specs; 1 to 16 different ones are expected"):
        model_files([spec, spec])


def test_models_need_names_of_their_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write_model(tmp_path / "one", "same"), write_model(tmp_path / "two", "same")
    assert main(["plan", str(first), str(second)]) == 2
    assert "the model is called `same`, as that of" in capsys.readouterr().err


def test_models_of_one_image_have_the_same_clocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = write_model(tmp_path, "a"), write_model(tmp_path, "b")
    second.write_text(second.read_text(encoding="utf-8") + "clocks: {cnn_hz: 25000000}\n", encoding="utf-8")
    assert main(["plan", str(first), str(second)]) == 2
    assert "models of one image have the same device and clocks" in capsys.readouterr().err

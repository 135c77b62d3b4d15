"""Fixtures that several test files share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import offramp.simulator  # noqa: F401  before numpy: it sets how many threads numpy's BLAS starts
from tests.helpers.paths import SHARED

# The same examples in every run: a test that fails here and passes there helps nobody. Small machines are slow.
settings.register_profile(
    "offramp",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.load_profile("offramp")

GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the files in tests/golden anew")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in tests/golden; a missing file is a failure."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"{path} is missing; look at the text and run pytest --update-golden"
        assert text == path.read_text(encoding="utf-8"), f"{path} differs; if that is intended: pytest --update-golden"

    return compare


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The vendor's programs with known answers, beside the checkout."""
    folder = SHARED / "corpus"
    if not folder.is_dir():
        pytest.skip("no ../shared/corpus beside this checkout")
    return folder

"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

import simulator  # noqa: F401  before numpy: it sets how many threads numpy's BLAS starts


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The vendor's programs with known answers, beside the checkout."""
    folder = Path(__file__).parents[2] / "shared" / "corpus"
    if not folder.is_dir():
        pytest.skip("no ../shared/corpus beside this checkout")
    return folder

"""A tab of a browser, for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.browser import Tab, find_browser, open_tab


@pytest.fixture(scope="module")
def shared_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    browser = find_browser()
    if browser is None:
        pytest.skip("no Chromium on the PATH (Debian: apt-get install chromium)")
    with open_tab(browser, tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(shared_tab: Tab) -> Iterator[Tab]:
    """The console must be empty after every test."""
    yield shared_tab
    assert shared_tab.complaints == []

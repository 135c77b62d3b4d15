"""Pages with listings: what a block prints stands below it, and docs/TOUR.md has what its blocks print now."""

from __future__ import annotations

import pytest

from offramp.configs.errors import CheckFailed
from offramp.documents import tour
from offramp.listings import with_listings
from tests.helpers.paths import ROOT

PAGE = """\
```python
number = 6
print(number)
```
<!-- prints -->

Then
```python
print(7 * number)
```
<!-- prints -->
```text
41
```
and
```sh
test -f examples/mnist/spec.yaml && test ! -e build && echo there
```
<!-- prints -->
"""


def test_what_blocks_print_is_put_below_them() -> None:
    page = with_listings(PAGE, ROOT)
    assert "<!-- prints -->\n```text\n6\n```\n\nThen" in page
    assert "<!-- prints -->\n```text\n42\n```\nand" in page and "41" not in page
    assert page.endswith("<!-- prints -->\n```text\nthere\n```\n")
    assert with_listings(page, ROOT) == page


def test_a_block_without_the_mark_runs_and_shows_nothing() -> None:
    page = "```python\nprint(1)\nnumber = 2\n```\n\n```python\nprint(number)\n```\n<!-- prints -->\n"
    assert with_listings(page, ROOT) == page + "```text\n2\n```\n"


def test_a_command_that_fails_is_no_listing() -> None:
    with pytest.raises(CheckFailed, match="status 3"):
        with_listings("```sh\nexit 3 | cat\n```\n", ROOT)


@pytest.mark.slow
def test_the_tour_shows_what_its_blocks_print() -> None:
    for path, text in tour().items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make documents`"

"""What of the documentation is made from the code is up to date."""

from __future__ import annotations

from offramp.configs.device import load_device
from offramp.documents import documents, with_tables


def test_documents_are_up_to_date() -> None:
    for path, text in documents(load_device()).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `make documents`"


def test_the_tables_stand_in_the_pages() -> None:
    pages = {path.name: text for path, text in documents(load_device()).items()}
    assert "| `stages[].exit.threshold` |" in pages["README.md"]
    assert "| `choose.risk.delta` |" in pages["CHOOSING.md"]


def test_a_table_is_replaced_between_its_markers() -> None:
    page = with_tables("before\n<!-- keys of a spec -->\nan earlier table\n<!-- end -->\nafter\n")
    assert "earlier" not in page and page.startswith("before\n") and page.endswith("\n<!-- end -->\nafter\n")
    assert "| `stages[].exit.threshold` |" in page and "| `networks.NAME.checkpoint` |" in page
    assert with_tables(page) == page

"""The table of sizes and stacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.size import table
from offramp.pipeline.compile import Variant
from offramp.pipeline.footprint import measure_footprint
from tests.helpers.firmware_builds import COMPILERS, write_firmware
from tests.helpers.small_firmware import small_firmware


@pytest.mark.parametrize("compiler", COMPILERS)
def test_each_variant_has_a_column(compiler: str, tmp_path: Path) -> None:
    folder = write_firmware(small_firmware(), tmp_path)
    variants = (Variant("-O2", "soft"), Variant("-Os", "hard"))
    found = {variant: measure_footprint(folder, compiler, variant) for variant in variants}
    rows = {line[:34].strip(): line[34:].split() for line in table(found)}
    assert rows["bytes of flash"] == ["-O2", "soft", "-Os", "hard"]
    assert rows["runtime, without tables"] == [f"{one.runtime_bytes:,}" for one in found.values()]
    fast, small = (int(cell.replace(",", "")) for cell in rows["runtime, without tables"])
    assert 0 < small < fast
    assert {one.call for one in found[variants[0]].stack} < rows.keys()

"""What a chip did as lines of the device file's section `evidence`."""

from __future__ import annotations

import json
from collections.abc import Sequence

from offramp.silicon.verdicts import Answered, Verdict


def evidence_lines(found: Sequence[Answered], source: str, date: str) -> str:
    """YAML: an entry for each question that was answered; strings in quotes, so that nothing in them has a meaning."""
    lines = ["evidence:"]
    for one in found:
        if one.verdict == Verdict.UNKNOWN:
            continue
        lines.append(f"  - fact: {one.question.name}")
        values = {"assumption": one.question.assumed, "seen": one.saw, "source": source, "date": date}
        lines += [f"    {key}: {json.dumps(value)}" for key, value in values.items()]
    return "\n".join(lines)

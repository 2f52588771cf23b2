"""Write `docs/reference/limits.md` from `sagas/core/limits.py` (`make fmt` does; `make check` compares)."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/reference/limits.md"

HEAD = """# Limits

Every bound stands in `sagas/core/limits.py`, with its reason; this page is written from it. What is over a limit
is refused in words, over the API with a 4xx; nothing breaks.
"""
FOOT = """
## At the border

| limit | value | why |
|---|---|---|
| body of a request | 1,048,576 | bytes; read into memory before it is refused (`DATA_UPLOAD_MAX_MEMORY_SIZE`) |
"""


def render() -> str:
    """Return the whole page."""
    source = (ROOT / "sagas/core/limits.py").read_text()
    values = runpy.run_path(str(ROOT / "sagas/core/limits.py"))
    lines = [HEAD]
    for line in source.splitlines():
        if section := re.fullmatch(r"# ---- (.+?) -+", line):
            lines += ["", f"## {section[1].capitalize()}", "", "| limit | value | why |", "|---|---|---|"]
        elif limit := re.fullmatch(r"([A-Z_]+) = .+?  # (.+)", line):
            name, why = limit.groups()
            value = values[name]
            lines.append(f"| `{name}` | {int(value) if value == int(value) else value:,} | {why} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n" + FOOT


if __name__ == "__main__":
    PAGE.write_text(render())

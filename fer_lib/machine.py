"""The machine this process runs on, as far as it can decide a result or a time. No host names."""

from __future__ import annotations

import platform
import re
from functools import cache
from pathlib import Path


@cache
def processor() -> str:
    """Return the processor's name, as the system tells it.

    Decisions on precision are kept under this name, and every run records it beside its times. Where Linux's
    ``/proc/cpuinfo`` does not tell, it is what Python's ``platform`` knows, at least the architecture.
    """
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
        return re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE).group(1).strip()
    except (OSError, AttributeError):
        return platform.processor() or platform.machine()

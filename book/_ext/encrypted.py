"""Sphinx extension: kernels of pages speak encrypted where they can, as those of `fer run` do.

Else other users of this machine could listen in, of which every kernel warns.
"""

from __future__ import annotations

from typing import Any

from jupyter_client import KernelManager


def setup(_app: Any) -> dict[str, Any]:
    """Set the default of the managers that myst-nb makes; it has no option for them."""
    KernelManager.transport_encryption.default_value = "auto"
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

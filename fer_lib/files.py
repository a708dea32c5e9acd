"""Files that appear whole or not at all, and a cache of arrays that never unpickles."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there on success, remove it on failure.

    The block may create a file or a folder. An existing file is replaced; an existing folder is
    exchanged for the new one.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    temporary = holder / path.name
    try:
        yield temporary
        if temporary.is_dir() and path.exists():
            path.rename(holder / "old")
        os.replace(temporary, path)  # noqa: PTH105 (replaces an existing file on every platform)
    finally:
        shutil.rmtree(holder, ignore_errors=True)


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON, atomically; numpy scalars and arrays are converted."""
    with atomic(path) as temporary:
        text = json.dumps(value, indent=1, ensure_ascii=False, default=_plain)
        temporary.write_text(text + "\n", encoding="utf-8")


def _plain(value: Any) -> Any:
    """Convert what JSON does not know: numpy scalars and arrays, tuples of them, paths."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def digest(*parts: Any) -> str:
    """Return a short stable sha256 of JSON-able ``parts`` (16 hex digits)."""
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def source_digest(path: Path) -> str:
    """Return a digest of what a Python file does: its syntax tree, without docstrings and comments."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node, False):
            node.body = node.body[1:]
    return digest(ast.dump(tree))


def cache_folder() -> Path:
    """``$FER_CACHE`` if set, else the user's cache folder for ``fer``."""
    if os.environ.get("FER_CACHE"):
        return Path(os.environ["FER_CACHE"]).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("fer")


def cached_arrays(kind: str, key: str, build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return named arrays from the cache, building and storing them on the first call.

    Parameters
    ----------
    kind, key
        Folder and name below :func:`cache_folder`; ``key`` must identify the content completely.
    build
        Called without arguments when the cache holds nothing; returns arrays without object dtype.

    Two processes asking for the same key build it once; a damaged entry is built again.
    """
    path = cache_folder() / kind / key
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        try:
            return {f.stem: np.load(f, allow_pickle=False) for f in sorted(path.iterdir())}
        except (FileNotFoundError, ValueError, EOFError, OSError):
            shutil.rmtree(path, ignore_errors=True)
        arrays = build()
        with atomic(path) as temporary:
            temporary.mkdir()
            for name, array in arrays.items():
                np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        return arrays

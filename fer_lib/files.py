"""Files that appear whole or not at all, finished units of work, and a cache that never unpickles."""

from __future__ import annotations

import ast
import errno
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock

from fer_lib.errors import FerError, WriteError

DAMAGED = (BadZipFile, EOFError, OSError, ValueError)
NOT_CACHED = "fer: not cached, and made again the next time:"
FULL_OR_CLOSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a full disk or a read-only place into a :class:`WriteError` that names ``folder``."""
    try:
        yield
    except WriteError:
        raise
    except (OSError, RuntimeError) as error:  # torch.save and numpy say "full" without an error number
        place = next(place for place in (folder, *folder.absolute().parents) if place.exists())
        full = shutil.disk_usage(place).free < 2**20
        if full or getattr(error, "errno", None) in FULL_OR_CLOSED:
            why = "no space is left there" if full else getattr(error, "strerror", None) or error
            raise WriteError(
                f"{folder} cannot be written to ({why}). What is finished is kept. $FER_CACHE moves the "
                "cache, --results the evidence and unfinished work, --data-dir the data."
            ) from None
        raise


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it there on success, remove it on failure.

    The block may create a file or a folder, which takes the place of an existing one. What is renamed has
    reached the disk before. WriteError if the disk is full or the folder may not be written to.
    """
    path = Path(path)
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        holder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        temporary = holder / path.name
        try:
            yield temporary
            for file in temporary.rglob("*") if temporary.is_dir() else [temporary]:
                _sync(file)
            if temporary.is_dir() and path.exists():
                path.rename(holder / "old")
            os.replace(temporary, path)  # noqa: PTH105 (replaces an existing file on every platform)
            with suppress(OSError):  # not every system can do this with a folder
                _sync(path.parent)
        finally:
            shutil.rmtree(holder, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


def source_digest(path: str | Path) -> str:
    """Return a digest of what a source does: docstrings, comments and formatting do not count.

    Of a Python file that is its syntax tree, of a YAML file its content, of another its text.
    """
    path = Path(path)
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        return code_digest(text)
    if path.suffix in (".yaml", ".yml"):
        return digest(repr(read_yaml(path)))
    return digest(text)


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file, by libyaml where it is there: ten times as fast as Python."""
    import yaml

    return yaml.load(path.read_text("utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


@cache
def code_digest(text: str) -> str:
    """Return :func:`source_digest` of Python code; of text that is none (a cell's ``%magic``) its own."""
    try:
        return digest(_tree(ast.parse(text)))
    except SyntaxError:
        return digest(text)


def _tree(node: Any) -> Any:
    """Return a syntax tree as plain lists, the same on every Python, without strings that do nothing."""
    if isinstance(node, list):
        idle = (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant) for item in node)
        return [_tree(item) for item, drop in zip(node, idle, strict=True) if not drop]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = ((name, value) for name, value in ast.iter_fields(node) if name not in ("ctx", "kind"))
    said = [(name, _tree(value)) for name, value in fields if value is not None or name == "value"]
    return [type(node).__name__, *(pair for pair in said if pair[1] != [])]


def arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read all arrays of an ``.npz`` file, never unpickling."""
    # numpy leaves a damaged file open
    with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def save_arrays(path: Path, values: dict[str, Any]) -> None:
    """Write arrays as ``.npz``, atomically; text becomes fixed-width strings, other objects are refused."""
    plain = {name: np.asarray(value) for name, value in values.items()}
    for name, array in plain.items():
        if array.dtype.hasobject:
            if not all(isinstance(item, str) for item in array.flat):
                raise FerError(f"Array {name!r} holds Python objects; only numbers and text are stored.")
            plain[name] = array.astype(str)
    with atomic(path) as temporary, temporary.open("wb") as handle:
        np.savez_compressed(handle, **plain)


def file_name(name: str) -> str:
    """Return ``name`` if it can be a file's name."""
    if not re.fullmatch(r"[\w@=+,][\w@=+,. -]*", name):
        raise FerError(f"{name!r} cannot be a file name: use letters, digits and -_.@=+, only.")
    return name


class UnitFolder:
    """Finished units of work and checkpoints in a folder, ``work``, where they survive a kill."""

    def __init__(self, work: Path) -> None:
        self.work = work
        with writing(work):
            for name in ("units", "checkpoints"):
                (work / name).mkdir(parents=True, exist_ok=True)

    def unit(self, name: str) -> Path | None:
        """Return the ``.npz`` of a finished unit (a fold, a network), or None if it is still to be done.

        A file that cannot be read is removed, so that its unit is done again.
        """
        path = self._unit(name)
        try:
            arrays(path)
        except FileNotFoundError:
            return None
        except DAMAGED:
            path.unlink()
            return None
        return path

    def finish_unit(self, name: str, **values: Any) -> Path:
        """Store a unit's arrays; from now on a killed run does not repeat it."""
        save_arrays(self._unit(name), values)
        return self._unit(name)

    def checkpoint(self, name: str) -> Path:
        """Return the path for a training checkpoint (it may not exist yet)."""
        return self.work / "checkpoints" / file_name(name)

    def _unit(self, name: str) -> Path:
        return self.work / "units" / f"{file_name(name)}.npz"


def cache_folder() -> Path:
    """``$FER_CACHE`` if set, else the user's cache folder for ``fer``."""
    if os.environ.get("FER_CACHE"):
        return Path(os.environ["FER_CACHE"]).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("fer")


def cached_arrays(kind: str, key: str, build: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return named arrays from the cache, building and storing them on the first call.

    ``kind`` and ``key`` are the folder and name below :func:`cache_folder`; ``key`` must identify the content
    completely. Two processes asking for the same key build it once; a damaged entry is built again. Where the
    cache is full or read-only, the arrays are not stored, and a line on standard error says so.
    """
    path = cache_folder() / kind / key
    with suppress(*DAMAGED):  # also from a read-only cache
        return _stored(path)
    lock = FileLock(f"{path}.lock")
    try:
        with writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire()
    except WriteError as error:
        print(f"{NOT_CACHED} {error}", file=sys.stderr)
        return build()
    with lock:
        lock.release()  # the first of two holds; the block has the other
        with suppress(*DAMAGED):
            return _stored(path)
        shutil.rmtree(path, ignore_errors=True)
        made = build()
        try:
            with atomic(path) as temporary:
                temporary.mkdir()
                for name, array in made.items():
                    np.save(temporary / f"{name}.npy", array, allow_pickle=False)
        except WriteError as error:
            print(f"{NOT_CACHED} {error}", file=sys.stderr)
        return made


def _stored(path: Path) -> dict[str, np.ndarray]:
    return {f.stem: np.load(f, allow_pickle=False) for f in sorted(path.iterdir())}

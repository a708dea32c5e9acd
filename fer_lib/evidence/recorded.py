"""The executed notebook as it is kept: without this machine's paths and without progress debris."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from fer_lib.evidence.provenance import repository
from fer_lib.files import cache_folder


def record_notebook(source: Path, target: Path, values: dict[str, Any], results: Path) -> None:
    """Write the executed notebook without this machine's paths and without progress debris.

    ``values`` are the run's parameters, ``results`` the folder of evidence.
    """
    import nbformat

    notebook = nbformat.read(source, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    places = _places(values.get("data_dir"), results)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        cell.source = _scrub(cell.source, places)
        if cell.cell_type == "code":
            cell.outputs = [out for out in (_clean(out, places) for out in cell.outputs) if out is not None]
    nbformat.write(notebook, target)


def _clean(output: Any, places: dict[str, str]) -> Any | None:
    """Return a cell's output scrubbed, or None if it is only a progress bar."""
    if output.output_type == "stream":
        lines = (line.rsplit("\r", 1)[-1] for line in output.text.replace("\r\n", "\n").split("\n"))
        kept = [line for line in lines if not re.search(r"\d+%\|.*\|", line)]
        output.text = _scrub("\n".join(kept), places)
        return output if output.text.strip() else None
    data = output.get("data", {})
    for kind, content in data.items():
        if isinstance(content, str) and kind not in ("image/png", "image/jpeg"):
            data[kind] = _scrub(content, places)
    debris = set(data) == {"text/plain"} and not data["text/plain"].strip()
    return None if debris else output


def _places(data_dir: str | None, results: Path) -> dict[str, str]:
    """Return the folders of this machine and what a reader needs of each, the longest first."""
    folders = {Path.home(): "~", Path(sys.prefix): "$VIRTUAL_ENV", cache_folder(): "$FER_CACHE"}
    if os.environ.get("FER_DATA"):
        folders[Path(os.environ["FER_DATA"]).expanduser()] = "$FER_DATA"
    if data_dir:
        folders[Path(data_dir)] = Path(data_dir).name
    folders |= {repository(): ".", results: "results"}
    places = {str(repository()) + "/": "", str(repository().resolve()) + "/": ""}
    for folder, name in folders.items():
        places |= {str(folder.absolute()): name, str(folder.resolve()): name}
    # The data may lie inside the home folder, the environment inside the repository.
    return {place: places[place] for place in sorted(places, key=len, reverse=True) if len(place) > 1}


def _scrub(text: str, places: dict[str, str]) -> str:
    """Replace absolute paths of this machine by what a reader needs of them."""
    text = re.sub(r"\S*/ipykernel_\d+/\d+\.py", "notebook", text)
    for place, name in places.items():
        end = "" if place.endswith("/") else r"(?![\w-])"
        # Not within a longer path or word: a folder /data is none in book/data.
        text = re.sub(rf"(?<![\w.~-]){re.escape(place)}{end}", name.replace("\\", r"\\"), text)
    return text

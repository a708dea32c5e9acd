"""The executed notebook as it is kept: without this machine's paths and without progress debris."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from fer_lib.files import cache_folder
from fer_lib.provenance import repository


def record_notebook(source: Path, target: Path, values: dict[str, Any]) -> None:
    """Write the executed notebook without this machine's paths and without progress debris."""
    import nbformat

    notebook = nbformat.read(source, as_version=4)
    notebook.metadata.pop("papermill", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        cell.source = _scrub(cell.source, values)
        if cell.cell_type == "code":
            cell.outputs = [out for out in (_clean(out, values) for out in cell.outputs) if out is not None]
    nbformat.write(notebook, target)


def _clean(output: Any, values: dict[str, Any]) -> Any | None:
    """Return a cell's output scrubbed, or None if it is only a progress bar."""
    if output.output_type == "stream":
        lines = (line.rsplit("\r", 1)[-1] for line in output.text.replace("\r\n", "\n").split("\n"))
        kept = [line for line in lines if not re.search(r"\d+%\|.*\|", line)]
        output.text = _scrub("\n".join(kept), values)
        return output if output.text.strip() else None
    data = output.get("data", {})
    for kind, content in data.items():
        if isinstance(content, str) and not kind.startswith("image/png"):
            data[kind] = _scrub(content, values)
    debris = set(data) == {"text/plain"} and not data["text/plain"].strip()
    return None if debris else output


def _scrub(text: str, values: dict[str, Any]) -> str:
    """Replace absolute paths of this machine by what a reader needs of them."""
    text = re.sub(r"\S*/ipykernel_\d+/\d+\.py", "notebook", text)
    places = {str(repository()) + "/": "", str(repository()): ".", str(cache_folder()): "$FER_CACHE"}
    if values.get("data_dir"):
        places[values["data_dir"]] = Path(values["data_dir"]).name
    if os.environ.get("FER_DATA"):
        places[os.environ["FER_DATA"]] = "$FER_DATA"
    places |= {sys.prefix: "$VIRTUAL_ENV", str(Path.home()): "~"}
    # The longest first: the data may lie inside the home folder, the environment inside the repository.
    for place in sorted(places, key=len, reverse=True):
        if len(place) > 1:
            text = re.sub(
                re.escape(place) + ("" if place.endswith("/") else r"(?![\w-])"), places[place], text
            )
    return text

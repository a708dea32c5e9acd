"""``fer run``: execute a notebook and publish its evidence."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fer_lib.errors import FerError
from fer_lib.evidence.provenance import notebook_path, repository, sources, variant


class NotebookError(Exception):
    """A notebook cell failed for a reason that is not the user's; the message holds the last lines."""


def execute(
    paper: str,
    dataset: str,
    budget: str = "smoke",
    seed: int = 0,
    device: str = "auto",
    data_dir: str | None = None,
    results: str | Path = "results",
    knobs: list[str] | None = None,
) -> Path:
    """Check a run, execute its notebook and return the folder of its evidence.

    Parameters
    ----------
    paper, dataset, budget, seed, device, data_dir
        As in the notebook's parameters cell; ``data_dir`` may be relative to the working directory.
    results
        Folder of the evidence; its hidden ``.work`` folder holds unfinished work.
    knobs
        ``name=value`` texts for further notebook parameters.

    Raises
    ------
    FerError
        For everything the user can mend, nearly always before a kernel starts.
    NotebookError
        If a cell fails otherwise; the partial notebook stays in the work folder.
    """
    from fer_lib.evidence.folders import evidence_folder, hold, publish, restore
    from fer_lib.evidence.preflight import check
    from fer_lib.evidence.recorded import record_notebook
    from fer_lib.evidence.runs import PROBE

    values = check(paper, dataset, budget, seed, device, data_dir, knobs or [])
    name = variant(paper, values)
    root = results_folder(results)
    target = evidence_folder(root, paper, dataset, budget, seed, name)
    slug = "-".join(target.relative_to(root).parts)
    try:
        lock, waited = hold(root / ".work" / f"{slug}.lock")
    except OSError as error:
        raise FerError(
            f"Evidence cannot be written to {root} ({error.strerror}); give another folder with --results."
        ) from None
    try:
        if waited and _same(target, values, sources(paper)):
            print("The other run has finished it.")
            return target
        folder = root / ".work" / slug
        restore(folder / "evidence", target)
        shutil.rmtree(folder, ignore_errors=True)  # staging of a killed run; its finished units lie elsewhere
        folder.mkdir(parents=True)
        stage = folder / "evidence"
        environment = {"FER_STAGE": stage, "FER_PROGRESS": folder / "progress", "FER_VARIANT": name}
        # The kernel works in the repository: what is relative to this working directory would be lost there.
        places = {name: os.environ.get(name) for name in ("FER_DATA", "FER_CACHE")}
        environment |= {name: Path(place).expanduser().absolute() for name, place in places.items() if place}
        with _environment(environment), _progress(folder / "progress"):
            source = notebook_path(paper)
            if budget == PROBE:
                source = _without_beyond(source, folder / source.name)
            _papermill(source, folder / "notebook.ipynb", values)
        if not (stage / "run.json").is_file():
            raise NotebookError(f"{paper}.ipynb ended without committing its evidence (Recorder.commit).")
        record_notebook(folder / "notebook.ipynb", stage / "notebook.ipynb", values, root)
        key = json.loads((stage / "run.json").read_text("utf-8")).get("key")
        publish(stage, target)
        shutil.rmtree(folder, ignore_errors=True)
        _forget(root / ".work", key)
        return target
    finally:
        lock.release(force=True)


def results_folder(name: str | Path) -> Path:
    """Return the folder of evidence: the repository's ``results``, or another below the working directory."""
    try:
        return repository() / "results" if name == "results" else Path(name).expanduser().resolve()
    except (RuntimeError, OSError):
        raise FerError(f"--results {name} is no folder that can be found; give it in full.") from None


def _without_beyond(source: Path, target: Path) -> Path:
    """Write ``source`` to ``target`` without the cells that go beyond a probe, and return ``target``."""
    notebook = json.loads(source.read_text("utf-8"))
    notebook["cells"] = [
        cell for cell in notebook["cells"] if "beyond" not in cell["metadata"].get("tags", [])
    ]
    target.write_text(json.dumps(notebook), encoding="utf-8")
    return target


def _papermill(source: Path, output: Path, values: dict[str, Any]) -> None:
    """Execute ``source`` with this interpreter at the repository root; ``output`` grows cell by cell."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside papermill and nbclient are not the user's
        import papermill
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError
        from traitlets.config import Config

        try:
            papermill.execute_notebook(
                source,
                output,
                values,
                kernel_name="python3",
                language="python",
                cwd=repository(),
                progress_bar=False,
                log_output=False,
                # Encrypted where the installed kernel can be: other users of this machine could listen in.
                config=Config(KernelManager={"transport_encryption": "auto"}),
                extra_arguments=[
                    "--IPKernelApp.log_level=CRITICAL"
                ],  # the kernel's own log is not the user's
            )
        except (DeadKernelError, RuntimeError) as error:
            raise NotebookError(
                f"The kernel of {source.name} died ({error}); was memory short? The same command goes on "
                f"from its last finished part. The partial notebook is {output}"
            ) from None
        except PapermillExecutionError as error:
            if error.ename in ("FerError", "AbsentDataError"):
                raise FerError(error.evalue) from None
            if error.ename == "KeyboardInterrupt":
                raise KeyboardInterrupt from None
            plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
            last = "\n".join(plain.splitlines()[-8:])
            raise NotebookError(
                f"Cell {error.cell_index} of {source.name} failed:\n{last}\nThe partial notebook is {output}"
            ) from None


@contextmanager
def _environment(values: dict[str, Any]) -> Iterator[None]:
    """Set environment variables for the kernel, and restore them."""
    # A user's own kernel called python3 must not shadow this environment's.
    values = {"JUPYTER_PREFER_ENV_PATH": "1", **values}
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _progress(file: Path, every: float = 30.0) -> Iterator[None]:
    """Show what the kernel writes into ``file``: a changing line on a terminal, else one now and then."""
    stop, terminal = threading.Event(), sys.stderr.isatty()

    def show() -> None:
        shown, text_before = time.monotonic(), ""
        while not stop.wait(0.5):
            with suppress(OSError):
                text = file.read_text("utf-8").strip()
                if terminal and text != text_before:
                    sys.stderr.write(f"\r\x1b[K{text}")
                elif not terminal and text != text_before and time.monotonic() - shown >= every:
                    sys.stderr.write(f"{text}\n")
                    shown = time.monotonic()
                else:
                    continue
                text_before = text
                sys.stderr.flush()
        if terminal:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _same(target: Path, values: dict[str, Any], digest: str) -> bool:
    """Whether the evidence at ``target`` came from the same parameters and sources."""
    try:
        info = json.loads((target / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    stored = info.get("parameters", {})
    return info.get("sources") == digest and all(
        stored.get(name, value) == value for name, value in values.items() if name != "data_dir"
    )


def _forget(work: Path, key: str | None) -> None:
    """Remove a published run's work folder, unless another process is using it."""
    from filelock import FileLock, Timeout

    if key:
        with suppress(Timeout), FileLock(work / f"{key}.lock", timeout=0):
            shutil.rmtree(work / key, ignore_errors=True)

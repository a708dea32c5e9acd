"""``fer run``: execute a notebook, clean the executed copy of this machine, and publish its evidence."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from fer_lib import errors
from fer_lib.errors import FerError
from fer_lib.evidence.preflight import asked, check_data
from fer_lib.evidence.provenance import (
    PROBE,
    RUN_PARAMETERS,
    evidence_folder,
    notebook_path,
    parameters,
    repository,
    variant,
)
from fer_lib.evidence.recorder import hold, let_go, publish, restore
from fer_lib.evidence.runs import Run, current
from fer_lib.files import cache_folder, writing

SHORT = "most likely memory was short. What is finished is kept, and the same command goes on from there."


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
    threads: int | None = None,
    force: bool = False,
) -> Path:
    """Check a run, execute its notebook and return the folder of its evidence.

    Evidence that is complete and :func:`~fer_lib.evidence.runs.current` is left as it is.

    ``data_dir`` may be relative to the working directory. ``results`` is the folder of the evidence, whose
    hidden ``.work`` folder holds unfinished work; ``knobs`` are ``name=value`` texts for further notebook
    parameters. ``threads`` are the kernel's (default: the environment's, else as many as there are cores):
    figures depend on them in the last digits, and unfinished work of another number is not gone on with. With
    ``force`` the run is made although its evidence is complete and current.

    Raises
    ------
    FerError
        For everything the user can mend, nearly always before a kernel starts.
    NotebookError
        If a cell fails otherwise; the partial notebook stays in the work folder.
    """
    from fer_lib.data import datasets

    if threads is not None and threads < 1:
        raise FerError(f"--threads {threads}: a run needs at least one.")
    given = {"dataset": dataset, "budget": budget, "seed": seed, "device": device}
    if data_dir:
        given["data_dir"] = str(datasets.data_folder(data_dir).resolve())
    values = asked(paper, given, knobs or [])
    root = results_folder(results)
    target = evidence_folder(root, paper, dataset, budget, seed, variant(paper, values))
    slug = "-".join(target.relative_to(root).parts)
    if not force and (made := current(target, values)):
        when = made.info["provenance"]["finished"]
        print(f"Done on {when} with the same code and parameters; --force makes it again.")
        return target
    check_data(dataset, given.get("data_dir", ""))
    lock, waited = hold(root / ".work" / f"{slug}.lock")
    try:
        if waited and current(target, values):
            print("The other run has finished it.")
            return target
        with writing(root):
            _make(paper, values, root, target, root / ".work" / slug, threads)
        return target
    finally:
        let_go(lock)


def _make(
    paper: str, values: dict[str, Any], root: Path, target: Path, folder: Path, threads: int | None
) -> None:
    """Execute the notebook with ``folder`` for what is under way, and put its evidence at ``target``."""
    stage, notebook = folder / "evidence", folder / "notebook.ipynb"
    restore(stage, target)
    shutil.rmtree(folder, ignore_errors=True)  # staging of a killed run; its finished units lie elsewhere
    folder.mkdir(parents=True)
    environment = {"FER_STAGE": stage, "FER_PROGRESS": folder / "progress"}
    environment["JUPYTER_PREFER_ENV_PATH"] = "1"  # a user's own kernel called python3 must not come first
    # The kernel works in the repository: what is relative to this working directory would be lost there.
    places = {name: os.environ.get(name) for name in ("FER_DATA", "FER_CACHE")}
    environment |= {name: Path(place).expanduser().absolute() for name, place in places.items() if place}
    if threads:
        environment |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    saved = parameters(notebook_path(paper))
    injected = {n: v for n, v in values.items() if n in RUN_PARAMETERS or v != saved[n]}
    with _environment(environment), _progress(folder / "progress"):
        _papermill(notebook_path(paper), notebook, injected)
    if not (stage / "run.json").is_file():
        raise NotebookError(f"{paper}.ipynb ended without committing its evidence (Recorder.commit).")
    if values["budget"] != PROBE:  # of which no page shows the notebook
        record_notebook(notebook, stage / "notebook.ipynb", values, root)
    work = root / ".work" / Run(stage).info["key"]
    publish(stage, target)
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(Timeout):  # another process works there by now
        lock = FileLock(work.with_suffix(".lock"))
        lock.acquire(timeout=0)
        shutil.rmtree(work, ignore_errors=True)
        let_go(lock)


def results_folder(name: str | Path) -> Path:
    """Return the folder of evidence: the repository's ``results``, or another below the working directory."""
    try:
        return repository() / "results" if name == "results" else Path(name).expanduser().resolve()
    except RuntimeError:
        raise FerError(f"--results {name} is no folder that can be found; give it in full.") from None


def _papermill(source: Path, output: Path, values: dict[str, Any]) -> None:
    """Execute ``source`` with this interpreter at the repository root; ``output`` grows cell by cell."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations inside papermill and nbclient are not the user's
        import papermill
        from nbclient.exceptions import DeadKernelError
        from papermill.exceptions import PapermillExecutionError
        from traitlets.config import Config

        for name in ("papermill", "traitlets", "asyncio"):  # what they tell of a killed kernel is told below
            logging.getLogger(name).setLevel(logging.CRITICAL)
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
                # At budget probe cells that go beyond comparing two readings are passed over.
                skip_cells_with_tag="beyond" if values["budget"] == PROBE else "skip-execution",
                # Encrypted where the installed kernel can be: other users of this machine could listen in.
                config=Config(KernelManager={"transport_encryption": "auto"}),
                extra_arguments=["--IPKernelApp.log_level=CRITICAL"],  # its own log is not the user's
            )
        except (DeadKernelError, RuntimeError):
            raise NotebookError(
                f"The kernel of {source.name} died or was killed; {SHORT}\nThe partial notebook is {output}"
            ) from None
        except PapermillExecutionError as error:
            if issubclass(getattr(errors, error.ename or "", Exception), FerError):
                raise FerError(error.evalue) from None
            if error.ename == "KeyboardInterrupt":
                raise KeyboardInterrupt from None
            plain = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback))
            last = "\n".join(plain.splitlines()[-8:])
            if error.ename == "MemoryError" or not last:  # the kernel had no memory left to say so
                last = f"{last}\n{SHORT}".strip()
            raise NotebookError(
                f"Cell {error.cell_index} of {source.name} failed:\n{last}\nThe partial notebook is {output}"
            ) from None


@contextmanager
def _environment(values: dict[str, Any]) -> Iterator[None]:
    """Set environment variables for the kernel, and restore them."""
    before = dict(os.environ)
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _progress(file: Path) -> Iterator[None]:
    """Show what the kernel writes into ``file``: a changing line on a terminal, else one now and then."""
    stop, terminal = threading.Event(), sys.stderr.isatty()

    def show() -> None:
        before = ""
        while not stop.wait(0.5 if terminal else 30):
            with suppress(OSError):
                text = file.read_text("utf-8").strip()
                if terminal:
                    sys.stderr.write(f"\r\x1b[K{text[: shutil.get_terminal_size().columns - 1]}")
                elif text != before:
                    sys.stderr.write(f"{file.parent.name}: {text}\n")  # others may run beside it
                before = text
                sys.stderr.flush()
        if terminal:
            sys.stderr.write("\r\x1b[K")

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


# --- the executed notebook as it is kept ---------------------------------------------------------


def record_notebook(source: Path, target: Path, values: dict[str, Any], results: Path) -> None:
    """Write the executed notebook without this machine's paths and without progress debris."""
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
            cell.outputs = [out for out in cell.outputs if _clean(out, places)]
    nbformat.write(notebook, target)


def _clean(output: Any, places: dict[str, str]) -> bool:
    """Scrub a cell's output, and say whether it is more than a progress bar."""
    if output.output_type == "stream":
        lines = (line.rsplit("\r", 1)[-1] for line in output.text.replace("\r\n", "\n").split("\n"))
        kept = [line for line in lines if not re.search(r"\d+%\|.*\|", line)]
        output.text = _scrub("\n".join(kept), places)
        return bool(output.text.strip())
    data = output.get("data", {})
    for kind, content in data.items():
        if isinstance(content, str) and kind not in ("image/png", "image/jpeg"):
            data[kind] = _scrub(content, places)
    return set(data) != {"text/plain"} or bool(data["text/plain"].strip())


def _places(data_dir: str | None, results: Path) -> dict[str, str]:
    """Return the folders of this machine and what a reader needs of each, the longest first."""
    folders = {Path.home(): "~", Path(sys.prefix): "$VIRTUAL_ENV", cache_folder(): "$FER_CACHE"}
    if os.environ.get("FER_DATA"):
        folders[Path(os.environ["FER_DATA"]).expanduser()] = "$FER_DATA"
    folders |= {Path(data_dir): Path(data_dir).name} if data_dir else {}
    folders |= {repository(): ".", results: "results"}
    places = {f"{repository()}/": "", f"{repository().resolve()}/": ""}
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

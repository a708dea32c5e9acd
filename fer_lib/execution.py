"""``fer run``: check everything that can be checked, then execute a notebook and publish its evidence."""

from __future__ import annotations

import ast
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

from fer_lib.errors import FerError, one_of
from fer_lib.provenance import RUN_PARAMETERS, notebook_path, parameters, repository, sources, variant

# What a corpus cannot give, for the sentence that refuses a protocol.
LACKS = {
    "fer2013": "FER2013 is unrelated stills of unnamed people, so nothing can be held out by subject and no "
    "sequence can be read",
    "jaffe": "JAFFE is stills, so no sequence can be read",
    "nimstim": "NimStim is stills, so no sequence can be read",
    "cmu_faces": "CMU faces has four expressions of its own (neutral, happy, sad, angry) and no sequences",
}


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
    from fer_lib.evidence import evidence_folder, hold, publish
    from fer_lib.recorded import record_notebook

    values = check(paper, dataset, budget, seed, device, data_dir, knobs or [])
    name = variant(paper, values)
    root = Path(results).expanduser().resolve() if results != "results" else repository() / "results"
    target = evidence_folder(root, paper, dataset, budget, seed, name)
    slug = "-".join(target.relative_to(root).parts)
    lock, waited = hold(root / ".work" / f"{slug}.lock")
    try:
        if waited and _same(target, values, sources(paper)):
            print("The other run has finished it.")
            return target
        folder = root / ".work" / slug
        shutil.rmtree(folder, ignore_errors=True)  # staging of a killed run; its finished units lie elsewhere
        folder.mkdir(parents=True)
        stage = folder / "evidence"
        environment = {"FER_STAGE": stage, "FER_PROGRESS": folder / "progress", "FER_VARIANT": name}
        with _environment(environment), _progress(folder / "progress"):
            _papermill(notebook_path(paper), folder / "notebook.ipynb", values)
        if not (stage / "run.json").is_file():
            raise NotebookError(f"{paper}.ipynb ended without committing its evidence (Recorder.commit).")
        record_notebook(folder / "notebook.ipynb", stage / "notebook.ipynb", values)
        key = json.loads((stage / "run.json").read_text("utf-8")).get("key")
        publish(stage, target)
        shutil.rmtree(folder, ignore_errors=True)
        _forget(root / ".work", key)
        return target
    finally:
        lock.release(force=True)


# --- checks before a kernel starts -------------------------------------------------------------


def check(
    paper: str, dataset: str, budget: str, seed: int, device: str, data_dir: str | None, knobs: list[str]
) -> dict[str, Any]:
    """Return the notebook's parameters for a run that can work, or raise :class:`FerError`."""
    from fer_lib import claims, datasets
    from fer_lib.runs import BUDGETS

    one_of(paper, claims.PAPERS, "paper")
    one_of(dataset, datasets.NAMES, "dataset")
    _check_protocol(paper, dataset)
    path = notebook_path(paper)
    defaults = parameters(path)
    if not defaults:
        raise FerError(f"{path.name} has no cell tagged 'parameters' with literals in it.")
    one_of(budget, BUDGETS, "budget")
    values = {"dataset": dataset, "budget": budget, "seed": seed, "device": device}
    if data_dir is not None:
        values["data_dir"] = str(Path(data_dir).expanduser().resolve())
    values |= _check_knobs(paper, defaults, knobs)
    _check_device(device, budget)
    found = datasets.check(dataset, data_dir)
    if not found["ok"]:
        raise FerError(
            f"{found['problems'][0]} (fer data check {dataset} lists all {len(found['problems'])}.)"
        )
    return {name: value for name, value in values.items() if name in defaults}


def usable(paper: str) -> list[str]:
    """Return the corpora the paper's own figures are measured on, and the embedded synthetic one."""
    from fer_lib import claims, datasets

    frame = claims.frame(paper)
    used = set(frame[frame.ours.astype(bool)].corpus.dropna())
    return [name for name in datasets.NAMES if name == "synthetic" or name in used]


def _check_protocol(paper: str, dataset: str) -> None:
    """Refuse a corpus that none of the paper's protocols can use, with the reason."""
    from fer_lib import claims

    names = usable(paper)
    if dataset not in names:
        frame = claims.frame(paper)
        frame = frame[frame.ours.astype(bool) & frame.corpus.notna()]
        protocols = ", ".join(dict.fromkeys(frame.protocol))
        why = LACKS.get(dataset, "the paper states no protocol for it")
        raise FerError(
            f"{paper} cannot use {dataset}: its protocols are {protocols}, and {why}. "
            f"It can use: {', '.join(names)}."
        )


def _check_knobs(paper: str, defaults: dict[str, Any], knobs: list[str]) -> dict[str, Any]:
    """Parse ``name=value`` texts against the parameters cell and the readings the claims file admits."""
    from fer_lib import claims

    frame = claims.ambiguities(paper)
    readings = dict(zip(frame["knob"], frame["values"], strict=True)) if "values" in frame else {}
    values: dict[str, Any] = {}
    for text in knobs:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise FerError(f"-p {text!r} should read name=value.")
        one_of(name, defaults, f"parameter of {paper}.ipynb")
        if name in RUN_PARAMETERS:
            option = {"dataset": "the DATASET argument"}.get(name, f"--{name.replace('_', '-')}")
            raise FerError(f"Parameter {name!r} is given by {option}, not by -p.")
        values[name] = literal(name, value.strip(), defaults[name])
        allowed = readings.get(name)
        if isinstance(allowed, list | tuple) and allowed:
            admitted = [_same_type(item, defaults[name]) for item in allowed]
            if values[name] not in admitted:
                listing = ", ".join(repr(item) for item in admitted)
                raise FerError(f"Parameter {name}={values[name]!r} is none of the readings {listing}.")
    return values


def literal(name: str, text: str, default: Any) -> Any:
    """Return ``text`` as a value of the type of ``default`` (an int serves for a float; quotes are optional).

    Raises
    ------
    FerError
        Naming the parameter and the type expected.
    """
    if isinstance(default, str):
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(text)
            if isinstance(value, str):
                return value
        return text
    try:
        value = _same_type(ast.literal_eval(text), default)
    except (ValueError, SyntaxError):
        value = text
    if default is not None and type(value) is not type(default):
        kind = "True or False" if isinstance(default, bool) else f"of type {type(default).__name__}"
        raise FerError(f"Parameter {name}={text} should be {kind}, as its default {default!r}.")
    if isinstance(default, list | tuple) and default:
        kinds = {type(item) for item in default}
        value = type(default)(_same_type(item, default[0]) for item in value)
        if not {type(item) for item in value} <= kinds:
            raise FerError(
                f"Parameter {name}={text} should hold items like those of its default {default!r}."
            )
    return value


def _same_type(value: Any, default: Any) -> Any:
    """Widen int to float and exchange list for tuple where the default is such; else return ``value``."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return type(default)(value)
    return value


def _check_device(device: str, budget: str) -> None:
    """Refuse a device that is not there; say when a full run will take long."""
    one_of(device, ("auto", "cpu", "cuda"), "device")
    if device == "auto" and budget != "paper":
        return  # whatever is there serves; no need to load torch for that
    if device != "cpu":
        import torch

        if torch.cuda.is_available():
            return
        if device == "cuda":
            raise FerError("--device cuda: PyTorch finds no CUDA device here; use --device auto or cpu.")
    if budget == "paper":
        print("Budget 'paper' on a CPU is what the authors did on a GPU: expect days.", file=sys.stderr)


# --- execution ---------------------------------------------------------------------------------


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

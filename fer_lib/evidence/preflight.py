"""What ``fer run`` checks before a kernel starts: names, parameters, device, protocol and data."""

from __future__ import annotations

import ast
import math
import shlex
import sys
from contextlib import suppress
from typing import Any

from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import RUN_PARAMETERS, notebook_cells, notebook_path, parameters

# What a paper's protocols ask for beyond labelled images; a corpus's card says why it cannot give that.
NEEDS = {"cspp": ("subjects",), "cnn3d": ("sequences", "subjects")}

# Notebooks that are no paper's: they have no claims and no register, and take any corpus that has subjects or
# an official split.
STUDIES = ("matrix",)


def check(
    paper: str, dataset: str, budget: str, seed: int, device: str, data_dir: str | None, knobs: list[str]
) -> dict[str, Any]:
    """Return the notebook's parameters for a run that can work, or raise :class:`FerError`."""
    from fer_lib import claims
    from fer_lib.data import datasets
    from fer_lib.evidence.runs import BUDGETS, PROBE

    one_of(paper, (*claims.PAPERS, *STUDIES), "paper")
    one_of(dataset, datasets.NAMES, "dataset")
    if paper not in STUDIES:
        _check_protocol(paper, dataset)
    path = notebook_path(paper)
    if not path.exists():
        ready = [name for name in (*claims.PAPERS, *STUDIES) if notebook_path(name).exists()]
        raise FerError(
            f"{paper} has no notebook in this version; papers that can be run: {', '.join(ready)}."
        )
    defaults = parameters(path)
    if not defaults:
        raise FerError(f"{path.name} has no cell tagged 'parameters' with literals in it.")
    one_of(budget, (*BUDGETS, PROBE), "budget")
    if budget == PROBE and not any("beyond" in cell["tags"] for cell in notebook_cells(path)):
        raise FerError(f"{path.name} has no cells tagged 'beyond', so it cannot be run at budget {PROBE}.")
    if not 0 <= seed < 2**31:
        raise FerError(f"--seed {seed}: a seed is a whole number from 0 to {2**31 - 1}.")
    values = {"dataset": dataset, "budget": budget, "seed": seed, "device": device}
    if data_dir:
        values["data_dir"] = str(datasets.data_folder(data_dir).resolve())
    values |= _check_knobs(paper, defaults, knobs)
    _check_device(device, budget)
    found = datasets.check(dataset, data_dir)
    problems = [said for said in found["problems"] if said not in found.get("doubts", ())]
    if problems:
        first, *others = problems
        place = f" --data-dir {shlex.quote(str(found['root']))}" if data_dir else ""
        more = f" ({len(others)} more: see `fer data check {dataset}{place}`)" if others else ""
        raise FerError(f"The {dataset} in {found['root']} cannot be used: {first}{more}")
    return {name: value for name, value in values.items() if name in defaults}


def usable(paper: str) -> list[str]:
    """Return the corpora of the paper's own figures, and what stands in where one has none of them."""
    from fer_lib import claims
    from fer_lib.data import datasets

    frame = claims.frame(paper)
    used = {"synthetic", *frame[frame.ours.astype(bool)].corpus.dropna()}
    return [name for name, card in datasets.CARDS.items() if name in used or paper in card.stands_in]


def _check_protocol(paper: str, dataset: str) -> None:
    """Refuse a corpus that none of the paper's protocols can use, with the reason."""
    from fer_lib import claims
    from fer_lib.data import datasets

    names = usable(paper)
    if dataset not in names:
        frame = claims.frame(paper)
        frame = frame[frame.ours.astype(bool) & frame.corpus.notna()]
        protocols = ", ".join(dict.fromkeys(frame.protocol))
        lacking = (datasets.CARDS[dataset].lacks.get(need) for need in NEEDS.get(paper, ()))
        why = next(filter(None, lacking), "the paper states no protocol for it")
        raise FerError(
            f"{paper} cannot use {dataset}: its protocols are {protocols}, and {why}. "
            f"It can use: {', '.join(names)}."
        )


def _check_knobs(paper: str, defaults: dict[str, Any], knobs: list[str]) -> dict[str, Any]:
    """Parse ``name=value`` texts against the parameters cell and the readings the claims file admits."""
    from fer_lib import claims

    readings = {}
    if paper not in STUDIES:
        frame = claims.ambiguities(paper)
        readings = dict(zip(frame["knob"], frame["values"], strict=True))
    values: dict[str, Any] = {}
    for text in knobs:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise FerError(f"-p {text!r} should read name=value.")
        if name in values:
            raise FerError(f"Parameter {name!r} is given twice.")
        one_of(name, defaults, f"parameter of {paper}.ipynb")
        if name in RUN_PARAMETERS:
            option = {"dataset": "the DATASET argument"}.get(name, f"--{name.replace('_', '-')}")
            raise FerError(f"Parameter {name!r} is given by {option}, not by -p.")
        values[name] = literal(name, value.strip(), defaults[name])
        allowed = readings.get(name)
        if isinstance(allowed, list | tuple) and allowed:
            admitted = [_same_type(item, defaults[name]) for item in allowed]
            if values[name] not in admitted:
                one_of(str(values[name]), [str(item) for item in admitted], f"reading of parameter {name}:")
        else:
            _check_number(name, values[name], defaults[name])
    return values


def _check_number(name: str, value: Any, default: Any) -> None:
    """Refuse numbers that no parameter of a notebook can mean: they would fail, or worse, hours later."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, bool) or not isinstance(item, int | float):
            continue
        if not 0 <= item < math.inf:
            raise FerError(f"Parameter {name}={value} should be finite and not negative.")
        if "dropout" in name and item >= 1:
            raise FerError(f"Parameter {name}={value} should be a probability below 1.")
        if item == 0 and type(default) is int and default > 0:
            raise FerError(f"Parameter {name}={value} should be at least 1, as its default {default!r}.")


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

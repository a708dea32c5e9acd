"""What is checked before a run, however it was started: names, values, device, protocol and data."""

from __future__ import annotations

import ast
import math
import shlex
from contextlib import suppress
from typing import Any

from fer_lib import claims
from fer_lib.errors import FerError, one_of
from fer_lib.evidence.provenance import (
    OFFERED,
    PROBE,
    RUN_PARAMETERS,
    STUDIES,
    defaults,
    knobs,
    notebook_cells,
    notebook_path,
    parameters,
)


def asked(paper: str, given: dict[str, Any], texts: list[str] | tuple[str, ...] = ()) -> dict[str, Any]:
    """Return all parameters of a run that ``fer run`` is to make, or say what is wrong with them.

    Parameters
    ----------
    given
        Values of :data:`RUN_PARAMETERS`.
    texts
        ``name=value`` for knobs of the notebook.

    Raises
    ------
    FerError
        For the first parameter that cannot be; also where the notebook was saved with another reading than
        ours, which nobody asked for.
    """
    one_of(paper, (*claims.PAPERS, *STUDIES), "paper")
    path = notebook_path(paper)
    if not path.exists():
        ready = [name for name in (*claims.PAPERS, *STUDIES) if notebook_path(name).exists()]
        raise FerError(
            f"{paper} has no notebook in this version; papers that can be run: {', '.join(ready)}."
        )
    ours = defaults(paper)
    values = ours | {name: value for name, value in given.items() if name in ours}
    changed: set[str] = set()
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name:
            raise FerError(f"-p {text!r} should read name=value.")
        if name in changed:
            raise FerError(f"Parameter {name!r} is given twice.")
        one_of(name, ours, f"parameter of {path.name}")
        if name in RUN_PARAMETERS:
            option = {"dataset": "the DATASET argument"}.get(name, f"--{name.replace('_', '-')}")
            raise FerError(f"Parameter {name!r} is given by {option}, not by -p.")
        values[name] = value
        changed.add(name)
    for name, saved in parameters(path).items():
        if name not in RUN_PARAMETERS and name not in changed and saved != ours[name]:
            raise FerError(
                f"{path.name} was saved with {name} = {saved!r}, and our reading is {ours[name]!r}: give "
                f"-p {name}={saved} to run that one, or undo the change of its parameters cell."
            )
    if values["budget"] == PROBE and not any("beyond" in cell["tags"] for cell in notebook_cells(path)):
        raise FerError(f"{path.name} has no cells tagged 'beyond', so it cannot be run at budget {PROBE}.")
    return _checked(paper, values)


def resolve(paper: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Check a notebook's parameters in its first cell and return them with the types that they should have.

    Text that means a value becomes that value, in ``namespace`` too: papermill's command line leaves
    ``false`` and ``[6,3,1]`` as text, and any text is true.

    Parameters
    ----------
    namespace
        The notebook's ``globals()``.

    Raises
    ------
    FerError
        For a value of another type or that no reading has, a dataset that the paper's protocols cannot use,
        and a parameter given to papermill that the notebook does not have.
    """
    ours = defaults(paper)
    for source in namespace.get("In", ()):
        if source.startswith("# Parameters"):  # the cell that papermill puts in
            for node in ast.parse(source).body:
                for target in getattr(node, "targets", ()):
                    one_of(ast.unparse(target), ours, f"parameter of {paper}.ipynb")
    if absent := [name for name in ours if name not in namespace]:
        raise FerError(f"{paper}.ipynb needs the parameter {absent[0]!r}; run its parameters cell first.")
    values = _checked(paper, {name: namespace[name] for name in ours})
    namespace.update(values)
    return values


def check_data(dataset: str, data_dir: str) -> None:
    """Raise :class:`FerError` unless a run can be made on the corpus as it is here."""
    from fer_lib.data import datasets

    found = datasets.check(dataset, data_dir or None)
    problems = [said for said in found["problems"] if said not in found.get("doubts", ())]
    if problems:
        first, *others = problems
        place = f" --data-dir {shlex.quote(str(found['root']))}" if data_dir else ""
        more = f" ({len(others)} more: see `fer data check {dataset}{place}`)" if others else ""
        raise FerError(f"The {dataset} in {found['root']} cannot be used: {first}{more}")


def usable(paper: str) -> list[str]:
    """Return the corpora of the paper's own figures, and what stands in where one has none of them."""
    from fer_lib.data import datasets

    frame = claims.frame(paper)
    used = {"synthetic", *frame[frame.ours.astype(bool)].corpus.dropna()}
    return [name for name, card in datasets.CARDS.items() if name in used or paper in card.stands_in]


def _check_protocol(paper: str, dataset: str) -> None:
    """Refuse a corpus that none of the paper's protocols can use, with the reason."""
    from fer_lib.data import datasets

    names = usable(paper)
    if dataset not in names:
        frame = claims.frame(paper)
        frame = frame[frame.ours.astype(bool) & frame.corpus.notna()]
        protocols = ", ".join(dict.fromkeys(frame.protocol))
        lacking = (datasets.CARDS[dataset].lacks.get(need) for need in claims.load(paper).needs)
        why = next(filter(None, lacking), "the paper states no protocol for it")
        raise FerError(
            f"{paper} cannot use {dataset}: its protocols are {protocols}, and {why}. "
            f"It can use: {', '.join(names)}."
        )


def _checked(paper: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook's parameters, each as its default's type, or say what is wrong with the first."""
    from fer_lib.data import datasets

    ours, register = defaults(paper), knobs(paper)
    values = values | {"data_dir": values.get("data_dir") or ""}
    values = {name: typed(name, values[name], default) for name, default in ours.items()}
    one_of(values["dataset"], datasets.NAMES, "dataset")
    if paper not in STUDIES:
        _check_protocol(paper, values["dataset"])
    one_of(values["budget"], OFFERED, "budget")
    if not 0 <= values["seed"] < 2**31:
        raise FerError(f"seed {values['seed']}: a seed is a whole number from 0 to {2**31 - 1}.")
    one_of(values["device"], ("auto", "cpu", "cuda"), "device")
    if values["device"] == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise FerError("PyTorch finds no CUDA device here; give auto or cpu as the device.")
    for name, value in values.items():
        if name in register and (allowed := register[name][1]):
            admitted = [_widened(item, ours[name]) for item in allowed]
            if value not in admitted:
                one_of(str(value), [str(item) for item in admitted], f"reading of parameter {name}:")
        else:
            _check_number(name, value, ours[name])
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


def typed(name: str, value: Any, default: Any) -> Any:
    """Return a value, or the text of one, with the type of ``default``.

    An int serves for a float, a list for a tuple; ``true`` and ``false`` may be written small, and quotes
    left out.

    Raises
    ------
    FerError
        Naming the parameter and the type expected.
    """
    given = value
    if isinstance(value, str):
        text = value.strip()
        with suppress(ValueError, SyntaxError):
            read = ast.literal_eval(text.capitalize() if isinstance(default, bool) else text)
            value = read if not isinstance(default, str) or isinstance(read, str) else value
    value = _widened(value, default)
    if default is not None and type(value) is not type(default):
        kind = "True or False" if isinstance(default, bool) else f"of type {type(default).__name__}"
        raise FerError(f"Parameter {name}={given} should be {kind}, as its default {default!r}.")
    if isinstance(default, list | tuple) and default:
        value = type(default)(_widened(item, default[0]) for item in value)
        if not {type(item) for item in value} <= {type(item) for item in default}:
            raise FerError(
                f"Parameter {name}={given} should hold items like those of its default {default!r}."
            )
    return value


def _widened(value: Any, default: Any) -> Any:
    """Make an int a float and a list a tuple (or the other way round) where the default is such."""
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return type(default)(value)
    return value

"""What is checked before a run, however it was started: names, values, device, protocol and data."""

from __future__ import annotations

import ast
import math
import os
import shlex
from collections.abc import Sequence
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


def asked(paper: str, given: dict[str, Any], texts: Sequence[str] = ()) -> dict[str, Any]:
    """Return all parameters of a run that ``fer run`` is to make, or say what is wrong with the first.

    ``given`` holds values of :data:`RUN_PARAMETERS`, ``texts`` a ``name=value`` for each further parameter. A
    notebook that was saved with another reading than ours, which nobody asked for, is a FerError too.
    """
    path = notebook_path(paper)
    one_of(paper, [name for name in (*claims.PAPERS, *STUDIES) if notebook_path(name).exists()], "paper")
    ours = defaults(paper)
    pairs = [[part.strip() for part in text.partition("=")] for text in texts]
    for name, equals, _ in pairs:
        if not equals or not name:
            raise FerError(f"-p {name!r} should read name=value.")
        one_of(name, ours, f"parameter of {path.name}")
        if name in RUN_PARAMETERS:
            raise FerError(f"Parameter {name!r} is given by an argument or option of its own, not by -p.")
    changed = {name: value for name, _, value in pairs}
    for name, saved in parameters(path).items():
        if name not in RUN_PARAMETERS and name not in changed and saved != ours[name]:
            raise FerError(
                f"{path.name} was saved with {name} = {saved!r}, and our reading is {ours[name]!r}: give "
                f"-p {name}={saved} to run that one, or undo the change of its parameters cell."
            )
    values = _checked(paper, ours | {name: value for name, value in given.items() if name in ours} | changed)
    if values["budget"] == PROBE and not any("beyond" in cell["tags"] for cell in notebook_cells(path)):
        raise FerError(f"{path.name} has no cells tagged 'beyond', so it cannot be run at budget {PROBE}.")
    return values


def resolve(paper: str, namespace: dict[str, Any]) -> dict[str, Any]:
    """Check a notebook's parameters in its first cell and return them with the types that they should have.

    Text that means a value becomes that value, in ``namespace`` (the notebook's ``globals()``) too:
    papermill's command line leaves ``false`` and ``[6,3,1]`` as text, and any text is true. FerError for what
    cannot be, a parameter that was given to papermill and that the notebook does not have included.
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
    if values["budget"] == PROBE and "FER_STAGE" not in os.environ:
        raise FerError(f"Budget {PROBE} passes over cells, which only `fer run {paper} ...` does: use that.")
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

    used = {"synthetic", *(claim.corpus for claim in claims.load(paper).claims if claim.ours)}
    return [name for name, card in datasets.CARDS.items() if name in used or paper in card.stands_in]


def _checked(paper: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return a notebook's parameters, each as its default's type, or say what is wrong with the first."""
    from fer_lib.data import datasets

    ours, register = defaults(paper), knobs(paper)
    values = values | {"data_dir": values.get("data_dir") or ""}
    values = {name: typed(name, values[name], default) for name, default in ours.items()}
    dataset = one_of(values["dataset"], datasets.NAMES, "dataset")
    if paper not in STUDIES and dataset not in usable(paper):  # say why
        printed = [claim for claim in claims.load(paper).claims if claim.ours and claim.corpus]
        protocols = ", ".join(dict.fromkeys(claim.protocol for claim in printed))
        lacking = (datasets.CARDS[dataset].lacks.get(need) for need in claims.load(paper).needs)
        why = next(filter(None, lacking), "the paper states no protocol for it")
        raise FerError(
            f"{paper} cannot use {dataset}: its protocols are {protocols}, and {why}. "
            f"It can use: {', '.join(usable(paper))}."
        )
    one_of(values["budget"], OFFERED, "budget")
    if not 0 <= values["seed"] < 2**31:
        raise FerError(f"seed {values['seed']}: a seed is a whole number from 0 to {2**31 - 1}.")
    if one_of(values["device"], ("auto", "cpu", "cuda"), "device") == "cuda":
        from fer_lib.learn.training import choose_device

        choose_device(values["device"])
    for name, value in values.items():
        if name in register and (allowed := register[name][1]):
            if value not in allowed:
                one_of(str(value), map(str, allowed), f"reading of parameter {name}:")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            # Numbers that no parameter can mean would fail, or worse, hours later.
            least = 1 if type(ours[name]) is int and ours[name] > 0 else 0
            most = 1 if "dropout" in name else math.inf
            if not least <= value < most:
                raise FerError(f"Parameter {name}={value} should be at least {least} and below {most}.")
    return values


def typed(name: str, value: Any, default: Any) -> Any:
    """Return a value, or the text of one, with the type of ``default``; FerError where it has another.

    An int serves for a float; ``true`` and ``false`` may be written small.
    """
    given = value
    if isinstance(value, str) and not isinstance(default, str):
        text = value.strip().capitalize() if isinstance(default, bool) else value.strip()
        with suppress(ValueError, SyntaxError):
            value = ast.literal_eval(text)
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        kind = "True or False" if isinstance(default, bool) else f"of type {type(default).__name__}"
        raise FerError(f"Parameter {name}={given} should be {kind}, as its default {default!r}.")
    return value

"""Progress and time left for long work, leaving nothing behind in an executed notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm


class Bar:
    """One line of progress: to a terminal, to the file ``$FER_PROGRESS``, or to a notebook cell.

    Use as a context manager. The line is cleared at the end; under ``fer run`` it goes through
    ``$FER_PROGRESS`` to the terminal that started the run; inside :func:`told` a listener hears of it
    instead.
    """

    def __init__(self, total: int, label: str, unit: str = "it") -> None:
        self.total, self.label, self.unit = total, label, unit
        self.done, self.status, self.started, self.shown = 0, "", time.monotonic(), 0.0
        self.file = os.environ.get("FER_PROGRESS")

    def __enter__(self) -> Bar:
        return self

    def update(self, n: int = 1, status: str = "") -> None:
        """Advance by ``n`` units; ``status`` is a short text such as ``loss 0.42``."""
        self.done += n
        self.status = status or self.status
        now = time.monotonic()
        if now - self.shown > 0.5:
            self.shown = now
            self._show(self.line())

    def line(self) -> str:
        """Return the line as it is shown: label, bar, rate, time left, status."""
        elapsed, whole = time.monotonic() - self.started, _plan.line()
        options = {"unit": self.unit, "postfix": self.status, "ncols": 100 + len(whole)}
        return tqdm.format_meter(self.done, self.total, elapsed, prefix=whole + self.label, **options)

    def _show(self, text: str) -> None:
        if _listeners:
            _listeners[-1](self)
        elif self.file:
            Path(self.file).write_text(text, encoding="utf-8")
        elif (terminal := _terminal()) is not None:
            terminal.write(f"\r\x1b[K{text}")
            terminal.flush()
        elif (cell := _cell()) is not None:
            from IPython.display import display

            if cell not in _handles:
                _handles.clear()
                _handles[cell] = display({"text/plain": text}, raw=True, display_id=True)
            else:
                _handles[cell].update({"text/plain": text}, raw=True)

    def __exit__(self, *error: object) -> None:
        if not self.file and self.shown:
            self._show("")


class _Plan:
    """How many networks are to be trained, and how long those took that were."""

    total, done = 0, 0
    seconds: tuple[float, ...] = ()

    def line(self) -> str:
        if self.done >= self.total:
            return ""
        left = ""
        if self.seconds:
            mean = sum(self.seconds) / len(self.seconds)
            left = f", about {duration(mean * (self.total - self.done))} left"
        return f"network {self.done + 1} of {self.total}{left}: "


_plan = _Plan()


def expect(networks: int, done: int = 0) -> None:
    """Say how many networks are trained, ``done`` of them before, so that progress can say how far it is."""
    _plan.total, _plan.done, _plan.seconds = networks, done, ()


def plan(networks: int) -> tuple[int, int]:
    """Return how many networks are done and expected; where nobody expects any, ``networks`` are."""
    if _plan.done >= _plan.total:
        expect(networks)
    return _plan.done, _plan.total


def trained(seconds: float | None) -> None:
    """Count a network that took so long, or that was finished before (None)."""
    _plan.done += 1
    _plan.seconds += () if seconds is None else (seconds,)


def duration(seconds: float) -> str:
    """Return a length of time as one reads it: ``40 s``, ``12 min``, ``3.5 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def track(items: Iterable, label: str, total: int | None = None, unit: str = "it") -> Iterator:
    """Iterate over ``items`` with a :class:`Bar`."""
    total = len(items) if total is None else total  # type: ignore[arg-type]
    with Bar(total, label, unit) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def told(listener: Callable[[Bar], None]) -> Iterator[None]:
    """Call ``listener`` with a bar in place of showing its line: widgets work outside of any cell."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


_listeners: list[Callable[[Bar], None]] = []
_handles: dict[int, Any] = {}  # one line per notebook cell, however many bars run in it


def _terminal() -> TextIO | None:
    """Return the terminal to write to; under papermill that is the one it was started from."""
    stream = sys.stderr if _kernel() is None else sys.__stderr__
    return stream if _cell() is None and stream is not None and stream.isatty() else None


def _cell() -> int | None:
    """Return the number of the cell that runs in JupyterLab, or None elsewhere.

    Jupyter's server names the session in the environment; papermill, whose output would keep what is
    displayed here, does not.
    """
    kernel = _kernel()
    return kernel.execution_count if kernel is not None and "JPY_SESSION_NAME" in os.environ else None


def _kernel() -> Any | None:
    """Return IPython's shell if this process is a notebook's kernel."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return shell if getattr(shell, "kernel", None) is not None else None

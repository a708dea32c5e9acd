"""Progress and time left for long work, leaving nothing behind in an executed notebook."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType

from tqdm import tqdm


class Bar:
    """One line of progress: to a terminal, to the file ``$FER_PROGRESS``, or to a notebook cell.

    Use as a context manager. In a notebook the line is cleared at the end; under ``fer run`` it goes
    through ``$FER_PROGRESS`` to the terminal that started the run; elsewhere, without a terminal, it
    is silent.
    """

    def __init__(self, total: int, label: str, unit: str = "it") -> None:
        self.total, self.label, self.unit = total, label, unit
        self.done, self.status, self.started, self.shown = 0, "", time.monotonic(), 0.0
        self.file = os.environ.get("FER_PROGRESS")
        self.handle = None

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
        elapsed = time.monotonic() - self.started
        return tqdm.format_meter(
            self.done, self.total, elapsed, prefix=self.label, unit=self.unit, postfix=self.status, ncols=100
        )

    def _show(self, text: str) -> None:
        if self.file:
            Path(self.file).write_text(text, encoding="utf-8")
        elif sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        elif (shell := _notebook()) is not None:
            from IPython.display import display

            data = {"text/plain": text}
            if self.handle is None:
                self.handle = display(data, raw=True, display_id=True)
            else:
                self.handle.update(data, raw=True)
            del shell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.handle is not None or (not self.file and sys.stderr is not None and sys.stderr.isatty()):
            self._show("")


def track(items: Iterable, label: str, total: int | None = None, unit: str = "it") -> Iterator:
    """Iterate over ``items`` with a :class:`Bar`."""
    total = len(items) if total is None else total  # type: ignore[arg-type]
    with Bar(total, label, unit) as bar:
        for item in items:
            yield item
            bar.update()


def _notebook() -> object | None:
    """Return the running IPython kernel shell, or None outside a notebook."""
    if "IPython" not in sys.modules:
        return None
    shell = sys.modules["IPython"].get_ipython()
    return shell if getattr(shell, "kernel", None) is not None else None

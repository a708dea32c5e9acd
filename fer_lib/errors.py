"""Errors a user can mend: one clear sentence, no traceback on the command line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class FerError(ValueError):
    """A user's mistake or absent data; the message names it, what was expected and what to do."""


class AbsentDataError(FerError):
    """A corpus (or part of it) is not on this machine."""


class WriteError(FerError, OSError):
    """A folder that is full or may not be written to; the message names it and what moves it."""


def one_of(value: str, options: Iterable[str], what: str) -> str:
    """Return ``value`` if it is among ``options``; else FerError names ``what``, the nearest, and all."""
    names = list(options)
    if value in names:
        return value
    plain = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(str(value).casefold(), plain, n=1, cutoff=0.5)
    hint = f" Did you mean {plain[near[0]]!r}?" if near else ""
    raise FerError(f"Unknown {what} {value!r}.{hint} Known: {', '.join(names)}.")

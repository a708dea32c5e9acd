"""What a corpus is to the rest of the library: where its files are found and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fer_lib.data.corpus import Card, Corpus
from fer_lib.data.image_files import read_stills
from fer_lib.data.printed import Printed
from fer_lib.data.sources import Source, shown
from fer_lib.errors import FerError, one_of


@dataclass(frozen=True)
class Reader:
    """A corpus as the rest of the library knows it: each file in ``datasets`` makes one, ``READER``.

    Attributes
    ----------
    card : Card
    search : callable, optional
        ``search(folder, **choices)`` returns what the corpus consists of, None where it is not in the folder.
        A generated corpus has none.
    choices : mapping
        The options that decide which files are listed, with the values that each may have: the first is the
        default.
    options : mapping
        All other options with their defaults. Those of both kinds are the options of ``datasets.load``.
    build : callable
        ``build(source, card, problems, **options)`` returns the corpus; see
        :func:`fer_lib.data.image_files.read_stills`. A generated corpus is returned by ``build(**options)``.
    is_ours : callable, optional
        ``is_ours(folder, name)`` tells whether a file looks like one of the corpus's; for those that are
        searched for to any depth.
    whole : tuple of mappings
        Selections that together are every file of a copy.
    faults : callable, optional
        ``faults(source, corpus)`` returns what keeps a copy from being the official one, a sentence each,
        the gravest first; for those whose owners publish counts. Such a corpus has the option ``strict``.
    authenticity : callable, optional
        ``authenticity(corpus)`` tells the original from altered copies, as ``datasets.authenticity`` says.
    doubts : callable, optional
        ``doubts(source, found)`` returns what of that, and of the files, speaks against a copy besides its
        faults; a sentence each.
    printed : tuple of Printed
        What papers print of it.
    """

    card: Card
    search: Callable[..., Source | None] | None = None
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=lambda: {"size": None})
    build: Callable[..., Corpus] = read_stills
    is_ours: Callable[[str, str], bool] | None = None
    whole: tuple[Mapping[str, Any], ...] = ({},)
    faults: Callable[[Source, Corpus], list[str]] | None = None
    authenticity: Callable[[Corpus], dict[str, Any]] | None = None
    doubts: Callable[[Source, dict[str, Any]], list[str]] | None = None
    printed: tuple[Printed, ...] = ()

    @property
    def defaults(self) -> dict[str, Any]:
        """All options with their defaults."""
        return {name: values[0] for name, values in self.choices.items()} | dict(self.options)

    def locate(self, root: str | Path, **chosen: Any) -> Source | None:
        """Return what the corpus in a folder consists of, None where it is not there.

        ``chosen`` are some of ``choices``. Raises FerError for a value that an option does not have.
        """
        values = {name: allowed[0] for name, allowed in self.choices.items()} | chosen
        for name, allowed in self.choices.items():
            if values[name] not in allowed:
                values[name] = one_of(str(values[name]), map(str, allowed), f"{name} of {self.card.name}")
        return self.search(Path(root), **values)  # type: ignore[misc]

    def read(self, root: str | Path | Source, problems: list[str] | None = None, **options: Any) -> Corpus:
        """Read the corpus from a folder, or from what :meth:`locate` found there.

        Parameters
        ----------
        root : path or Source
            Of a source its choices have been made.
        problems : list of str, optional
            If given, what cannot be read is described here, a sentence naming the file each, and left out;
            without it the first such thing raises.
        **options
            Some of ``choices`` and ``options``.

        Raises
        ------
        FerError
            If nothing is there, an option has another value than it may have or, without ``problems``,
            something cannot be read.
        """
        chosen = {name: options.pop(name) for name in self.choices if name in options}
        source = root if isinstance(root, Source) else self.locate(root, **chosen)
        if source is None:
            raise FerError(f"{shown(root)} holds no {self.card.title}; expected\n{self.card.tree}")
        return self.build(source, self.card, problems, **{**self.options, **options})

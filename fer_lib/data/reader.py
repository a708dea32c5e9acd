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
    """A corpus as the rest of the library knows it: each file in ``datasets`` makes one, ``READER``."""

    card: Card
    # search(folder, **choices) returns what is there, None where the corpus is not; a generated one has none.
    search: Callable[..., Source | None] | None = None
    # The options that decide which files are listed, with the values that each may have, the default first;
    choices: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    # and all others with their defaults. Together they are the options of `datasets.load`.
    options: Mapping[str, Any] = field(default_factory=lambda: {"size": None})
    # build(source, card, problems, **options) returns the corpus; a generated one comes of build(**options).
    build: Callable[..., Corpus] = read_stills
    whole: tuple[Mapping[str, Any], ...] = ({},)  # selections that together are every file of a copy
    # faults(source, corpus): what keeps a copy from being the official one, sentences, the gravest first; for
    # those whose owners publish counts. Such a corpus has the option `strict`.
    faults: Callable[[Source, Corpus], list[str]] | None = None
    # authenticity(corpus) tells the original from altered copies, as `datasets.authenticity` says.
    authenticity: Callable[[Corpus], dict[str, Any]] | None = None
    printed: tuple[Printed, ...] = ()  # what papers print of it

    @property
    def defaults(self) -> dict[str, Any]:
        """All options of `datasets.load` with their defaults."""
        first = {name: values[0] for name, values in self.choices.items()}
        return {**first, **self.options, **({"strict": True} if self.faults else {})}

    def locate(self, root: str | Path, **chosen: Any) -> Source | None:
        """Return what the corpus in a folder consists of, None where it is not there.

        ``chosen`` are some of ``choices``; FerError for a value that an option does not have.
        """
        values = {name: allowed[0] for name, allowed in self.choices.items()} | chosen
        for name, allowed in self.choices.items():
            if values[name] not in allowed:
                values[name] = one_of(str(values[name]), map(str, allowed), f"{name} of {self.card.name}")
        return self.search(Path(root), **values)  # type: ignore[misc]

    def read(self, root: str | Path | Source, problems: list[str] | None = None, **options: Any) -> Corpus:
        """Read the corpus from a folder, or from the source that :meth:`locate` found there.

        ``options`` are some of ``choices`` (which of a source have been made) and ``options``. ``problems``,
        if given, receives a sentence for each thing that cannot be read and is left out; without it the first
        raises FerError, as does a folder without the corpus.
        """
        chosen = {name: options.pop(name) for name in self.choices if name in options}
        source = root if isinstance(root, Source) else self.locate(root, **chosen)
        if source is None:
            raise FerError(f"{shown(root)} holds no {self.card.title}; expected\n{self.card.tree}")
        return self.build(source, self.card, problems, **{**self.options, **options})

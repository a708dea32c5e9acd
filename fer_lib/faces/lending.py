"""Detectors that keep state while they search: one for each thread that is searching, kept for the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Detector = TypeVar("Detector")


class Lender(Generic[Detector]):
    """Lend a detector to one thread at a time, building another only when all are lent.

    dlib's takes most of a second to build, so that one per thread of a short-lived pool would cost more
    than the search.
    """

    def __init__(self, build: Callable[[], Detector]) -> None:
        self.build = build
        self.free: list[Detector] = []

    @contextmanager
    def lent(self) -> Iterator[Detector]:
        """Yield a detector that nobody else uses."""
        try:
            detector = self.free.pop()  # of a list this is atomic
        except IndexError:
            detector = self.build()
        try:
            yield detector
        finally:
            self.free.append(detector)

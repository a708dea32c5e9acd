"""A panel to play with in JupyterLab: a face, a small network, and what the one makes of the other.

The panel holds widgets and what they are set to. Faces come from :mod:`~fer_lib.play.explore_faces`,
networks from
:mod:`~fer_lib.play.explore_models`, and :mod:`~fer_lib.play.explore_views` says what is shown of them.
Whatever goes
wrong becomes a sentence in the panel. Nothing that it shows is saved.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from fer_lib import progress
from fer_lib.data import datasets
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.play import explore_faces, explore_models, explore_views
from fer_lib.play import explore_pictures as pictures
from fer_lib.play.explore_words import words_of

if TYPE_CHECKING:
    from fer_lib.play.explore_faces import Collection, Photograph
    from fer_lib.play.explore_models import SmallNetwork
    from fer_lib.play.explore_words import Words

ANY, PREDICTED = "any", "what it answers"
SLIDERS = {
    "mouth": "Cover the mouth",
    "eyes": "Cover the eyes",
    "light": "Light",
    "tones": "Distort tones",
}


class Panel:
    """The widgets, and the face, network and words that they stand for.

    Parameters
    ----------
    dataset : str
        The corpus to begin with.
    network : str
        The network to begin with, one of :data:`fer_lib.play.explore_models.KINDS`.
    data_dir : path, optional
        As :func:`fer_lib.data.datasets.find` takes it.

    Raises
    ------
    FerError
        For an unknown or absent corpus, or an unknown network.
    """

    def __init__(
        self, dataset: str = "synthetic", network: str = "C-SPP", data_dir: str | Path | None = None
    ) -> None:
        one_of(network, explore_models.KINDS, "network")
        if one_of(dataset, datasets.NAMES, "dataset") != "synthetic":
            datasets.find(dataset, data_dir)
        self.data_dir = data_dir
        self.photo: Photograph | None = None
        self.last = "mouth"  # the slider that was moved last
        self._shown: str | None = None  # the corpus that is loaded, and shown unless there is a photo
        self._collections: dict[str, tuple[Collection, Words]] = {}
        self._trained: dict[tuple[str, str], SmallNetwork] = {}
        self._quiet = False  # while the panel sets its own widgets
        self._build(dataset, network)

    # --- what is shown now ----------------------------------------------------------------------------------

    @property
    def collection(self) -> Collection:
        """The corpus that was chosen; FerError while none could be loaded."""
        if self._shown is None:
            raise FerError("No corpus is loaded; the panel says why.")
        return self._collections[self._shown][0]

    @property
    def network(self) -> SmallNetwork:
        """The network that was chosen, trained on that corpus (here and now, if need be)."""
        key = (self._shown, self.model.value)
        if key not in self._trained:
            self._trained[key] = explore_models.trained(
                self.model.value, self.collection.train, self.collection.held
            )
        return self._trained[key]

    @property
    def face(self) -> Corpus:
        """The undisturbed face, a corpus of one."""
        if self.photo is not None:
            return self.photo.face
        return self.collection.held.select([self._members()[self.index.value - 1]])

    @property
    def severities(self) -> dict[str, float]:
        """What the sliders of interference are set to."""
        return {name: slider.value for name, slider in self.sliders.items()}

    @property
    def disturbed(self) -> Corpus:
        """The face as the sliders have it."""
        return explore_faces.disturbed(self.face, **self.severities)

    @property
    def probabilities(self) -> dict[str, float]:
        """What the network answers to it."""
        return dict(zip(self.network.classes, self.network.probabilities(self.disturbed)[0], strict=True))

    @property
    def chosen(self) -> int | None:
        """The class whose evidence is wanted, as a code; None for the predicted one."""
        return None if self.target.value == PREDICTED else self.network.classes.index(self.target.value)

    @property
    def truth(self) -> str | None:
        """The face's expression; None for one's own photograph."""
        return None if self.photo is not None else self.face.classes[self.face.labels[0]]

    def _members(self) -> np.ndarray:
        """Return which held-out faces have the expression that was chosen."""
        held = self.collection.held
        if self.expression.value == ANY:
            return np.arange(len(held))
        return np.flatnonzero(held.labels == held.classes.index(self.expression.value))

    # --- widgets --------------------------------------------------------------------------------------------

    def _build(self, dataset: str, network: str) -> None:
        names = list(dict.fromkeys([*explore_faces.present(self.data_dir), dataset]))
        titles = [(datasets.CARDS[name].title, name) for name in names]
        self.corpus = widgets.Dropdown(options=titles, value=dataset, description="Faces")
        kinds = [(kind.title, name) for name, kind in explore_models.KINDS.items()]
        self.model = widgets.Dropdown(options=kinds, value=network, description="Network")
        self.expression = widgets.Dropdown(options=[ANY], description="Expression")
        self.index = widgets.IntSlider(1, 1, 1, description="Which one", continuous_update=False)
        self.upload = widgets.FileUpload(accept="image/*", description="Bring your own photo")
        self.target = widgets.Dropdown(options=[PREDICTED], description="Evidence for")
        self.sliders = {
            name: widgets.FloatSlider(
                0, min=explore_faces.INTERFERENCE[name][0], max=1, step=0.05, description=text
            )
            for name, text in SLIDERS.items()
        }
        self.reset = widgets.Button(description="Undisturbed", icon="undo")
        self.bar = widgets.FloatProgress(0, max=1, layout={"visibility": "hidden", "width": "100%"})
        self.message, self.about, self.answer, self.images = (widgets.HTML() for _ in range(4))
        controls = [self.corpus, self.model, self.expression, self.index, self.upload, *self.sliders.values()]
        for widget in (*controls, self.reset, self.target):
            widget.style.description_width = "118px"
            widget.layout.width = "320px"
        for widget, changed in (
            (self.corpus, self._on_corpus),
            (self.model, self._on_model),
            (self.expression, self._on_face),
            (self.index, self._on_face),
            (self.upload, self._on_upload),
            (self.target, self._on_slider),
            *((slider, self._on_slider) for slider in self.sliders.values()),
        ):
            widget.observe(changed, "value")
        self.reset.on_click(self._on_reset)
        left = widgets.VBox(
            [*controls, self.reset, self.target], layout={"width": "340px", "flex": "0 0 auto"}
        )
        right = widgets.VBox(
            [self.message, self.bar, self.about, self.answer], layout={"flex": "1 1 380px", "min_width": "0"}
        )
        top = widgets.HBox([left, right], layout={"flex_flow": "row wrap"})
        self.box = widgets.VBox([top, self.images])

    def show(self) -> None:
        """Display the panel and then load and train what it needs, with progress in it."""
        from IPython.display import display

        display(self.box)
        self._on_corpus({})

    # --- what happens when something is changed -------------------------------------------------------------

    @contextmanager
    def _still(self) -> Iterator[None]:
        """Keep observers still while the panel sets its own widgets."""
        self._quiet = True
        try:
            yield
        finally:
            self._quiet = False

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Show progress, and turn what goes wrong into a sentence."""
        try:
            with self._still(), progress.told(self._progress):
                yield
        except FerError as error:
            self.message.value = pictures.page(pictures.said(str(error), fault=True))
        except Exception as error:  # a widget's traceback would go where nobody looks
            said = f"Something went wrong that should not: {type(error).__name__}: {error}"
            self.message.value = pictures.page(pictures.said(said, fault=True))
        finally:
            self.bar.layout.visibility = "hidden"

    def _progress(self, bar: progress.Bar) -> None:
        if time.monotonic() - bar.started < 0.5:  # what is done at once would only flicker
            return
        self.bar.layout.visibility = "visible"
        self.bar.value = bar.done / max(1, bar.total)
        self.message.value = pictures.page(pictures.said(f"{bar.label} … {bar.status}"))

    def _on_corpus(self, change: dict[str, Any]) -> None:
        if self._quiet:
            return
        with self._working():
            name = self.corpus.value
            try:
                if name not in self._collections:
                    self._say(f"Getting {datasets.CARDS[name].title} ready …")
                    loaded = explore_faces.collection(name, self.data_dir)
                    self._collections[name] = loaded, words_of(loaded.train)
            except Exception:
                self.corpus.value = self._shown or name
                raise
            self._shown, self.photo = name, None
            for dropdown, first in ((self.expression, ANY), (self.target, PREDICTED)):
                dropdown.options = [first, *self.collection.held.classes]
            self._choose_among()
            self._refresh()

    def _on_model(self, change: dict[str, Any]) -> None:
        self._changed(f"Getting {explore_models.KINDS[self.model.value].title} ready …")

    def _on_face(self, change: dict[str, Any]) -> None:
        if not self._quiet:
            self.photo = None
            with self._still():
                if change["owner"] is self.expression:
                    self._choose_among()
            self._changed()

    def _on_slider(self, change: dict[str, Any]) -> None:
        if not self._quiet:
            moved = [name for name, slider in self.sliders.items() if slider is change["owner"]]
            self.last = moved[0] if moved else self.last
            self._changed()

    def _on_reset(self, button: Any) -> None:
        with self._still():
            for slider in self.sliders.values():
                slider.value = 0
        self._changed()

    def _on_upload(self, change: dict[str, Any]) -> None:
        if self._quiet or not self.upload.value:
            return
        with self._working():
            self._say("Looking for a face …")
            brought = bytes(self.upload.value[0]["content"])
            self.upload.value = ()  # the same file may be brought again
            self.photo = explore_faces.photograph(brought)
            self._refresh()

    def _changed(self, text: str = "") -> None:
        if not self._quiet and self._shown is not None:
            with self._working():
                if text:
                    self._say(text)
                self._refresh()

    def _say(self, text: str) -> None:
        self.message.value = pictures.page(pictures.said(text))

    def _choose_among(self) -> None:
        self.index.max, self.index.value = max(1, len(self._members())), 1

    # --- what it looks like ---------------------------------------------------------------------------------

    def _refresh(self) -> None:
        """Draw everything anew."""
        network, disturbed = self.network, self.disturbed
        severities, series = explore_faces.along(self.face, self.last, **self.severities)
        line = explore_views.Line(self.last, SLIDERS[self.last], severities, network.probabilities(series))
        self.answer.value = explore_views.answer(
            network, disturbed, self.truth, line, self.severities[self.last]
        )
        words = self._collections[self._shown][1]
        figures = explore_views.figures(
            self.face, disturbed, self.truth, network, self.chosen, words, self.photo
        )
        self.images.value = pictures.page(pictures.tiles(*figures))
        self.about.value = explore_views.about(network, self.collection, self.photo is not None)
        self.message.value = ""


def explore(**options: Any) -> Panel:
    """Show a panel; ``options`` are those of :class:`Panel`. It is returned for use in code."""
    panel = Panel(**options)
    panel.show()
    return panel

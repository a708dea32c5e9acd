"""A panel to play with in JupyterLab: a face, a small network, and what the one makes of the other.

Faces come from :mod:`~fer_lib.play.explore_faces`, networks from :mod:`~fer_lib.play.explore_models` and
:mod:`~fer_lib.play.explore_runs`, and :mod:`~fer_lib.play.explore_pictures` draws them. Nothing trains before
its button is pressed, nothing is saved before the other one is, and whatever goes wrong becomes a sentence.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np

from fer_lib import progress
from fer_lib.data import datasets
from fer_lib.data.corpus import Corpus
from fer_lib.errors import FerError, one_of
from fer_lib.play import explore_faces, explore_models, explore_runs
from fer_lib.play.explore_faces import INTERFERENCE
from fer_lib.play.explore_pictures import picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fer_lib.play.explore_faces import Collection, Photograph
    from fer_lib.play.explore_models import Explored

ANY, PREDICTED = "any", "what it answers"
FRAME = {"across": "Face: across", "down": "Face: down", "side": "Face: size"}
# ipywidgets writes the number of files behind a button's text, which says nothing here.
CSS = """<style>.fer-upload{font-size:0}
.fer-upload::after{content:"Bring your own photo";font-size:var(--jp-widgets-font-size,13px)}</style>"""


class Panel:
    """The widgets, and the face and network that they stand for.

    It begins with the corpus ``dataset``, looked for in ``data_dir``, and ``network``: one of
    :data:`fer_lib.play.explore_models.SMALL`, or what the panel calls one that a run below ``results`` kept.
    FerError for an unknown or absent corpus or an unknown network.
    """

    def __init__(
        self,
        dataset: str = "synthetic",
        network: str = "C-SPP",
        data_dir: str | Path | None = None,
        results: str | Path = "results",
    ) -> None:
        self.kept = explore_runs.found(results)
        one_of(network, (*explore_models.SMALL, *self.kept), "network")
        if one_of(dataset, datasets.NAMES, "dataset") != "synthetic":
            datasets.find(dataset, data_dir)
        self.data_dir = data_dir
        self.photo: Photograph | None = None
        self.figure: Figure | None = None
        self._last = "mouth"  # the slider that was used last
        self._corpus: str | None = None  # the one that is loaded, and shown unless there is a photograph
        self._collections: dict[str, Collection] = {}
        self._networks: dict[tuple[str | None, str], Explored] = {}
        self._quiet = False  # while the panel sets its own widgets
        self._build(dataset, network)

    # --- what is shown --------------------------------------------------------------------------------------

    @property
    def collection(self) -> Collection:
        """The corpus that was chosen; FerError while none could be loaded."""
        if self._corpus is None:
            raise FerError("No corpus is loaded; the panel says why.")
        return self._collections[self._corpus]

    @property
    def network(self) -> Explored:
        """The network that was chosen, as it was trained; FerError until it is (:meth:`train`)."""
        if (found := self._known(self.model.value)) is None:
            raise FerError(
                f"{self._title(self.model.value)} is not trained on these faces yet: press the "
                "button in the panel, or call panel.train()."
            )
        return found

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

    def train(self) -> None:
        """Train the network that was chosen (else the one beside it), with progress, and show it."""
        with self._working():
            train, held = self.collection.train, self.collection.held
            if (name := self._untrained()) is not None:
                self._networks[self._corpus, name] = explore_models.explored(name, train, held)
            self._refresh()

    def _known(self, name: str | None) -> Explored | None:
        """Return a network that was trained before, or that a run kept; None for one still to be trained."""
        key = (None if name in self.kept else self._corpus), name
        if key not in self._networks and name is not None:
            train, held = self.collection.train, self.collection.held
            run = self.kept.get(name)
            found = run.load() if run else explore_models.explored(name, train, held, learn=False)
            self._networks |= {} if found is None else {key: found}
        return self._networks.get(key)

    def _untrained(self) -> str | None:
        """Return which of the two networks that were chosen is still to be trained."""
        names = (self.model.value, self.beside.value)
        return next((name for name in names if name and self._known(name) is None), None)

    def _title(self, name: str) -> str:
        return name if name in self.kept else explore_models.title(name)

    def save(self, path: str | Path | None = None) -> Path:
        """Save the picture as a PNG file that holds what it was made with, and return its path.

        By default it is the first of ``explore-1.png``, ``explore-2.png``, ... that is not there yet.
        """
        if self.figure is None:
            raise FerError("There is no picture to save yet.")
        free = (file for n in count(1) if not (file := Path(f"explore-{n}.png")).exists())
        path = Path(path or next(free)).resolve()
        made_with = {"corpus": self._corpus, "network": self.model.value, "beside": self.beside.value}
        made_with |= {"photo": self.photo is not None, "face": self.face.ids.tolist()}
        made_with |= {"evidence for": self.target.value} | self.severities
        try:
            self.figure.savefig(path, format="png", dpi=200, metadata={"Description": json.dumps(made_with)})
        except OSError as error:
            why = error.strerror or error
            raise FerError(f"{path} cannot be written ({why}); give panel.save another path.") from None
        return path

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
        kinds = [(self._title(name), name) for name in (*explore_models.SMALL, *self.kept)]
        self.model = widgets.Dropdown(options=kinds, value=network, description="Network")
        self.beside = widgets.Dropdown(options=[("none", None), *kinds], description="Beside it")
        self.teach = widgets.Button(description="Train it here", icon="play", button_style="primary")
        self.expression = widgets.Dropdown(options=[ANY], description="Expression")
        self.index = widgets.IntSlider(1, 1, 1, description="Which one", continuous_update=False)
        self.upload = widgets.FileUpload(accept="image/*", tooltip="Bring your own photo").add_class(
            "fer-upload"
        )
        self.target = widgets.Dropdown(options=[PREDICTED], description="Evidence for")

        def slider(text: str, lowest: float, value: float = 0.0) -> widgets.FloatSlider:
            options = {"step": 0.05, "description": text, "continuous_update": False}
            return widgets.FloatSlider(value, min=lowest, max=1, **options)

        self.sliders = {name: slider(*kind[:2]) for name, kind in INTERFERENCE.items()}
        self.frame = {name: slider(text, 0, 0.5) for name, text in FRAME.items()}
        self.reset = widgets.Button(description="Undisturbed", icon="undo")
        self.keep = widgets.Button(description="Save this picture", icon="download")
        # What comes and goes keeps its place, so that nothing below it jumps.
        self.bar = widgets.FloatProgress(0, max=1, layout={"visibility": "hidden", "width": "100%"})
        self.message = widgets.HTML(layout={"height": "44px", "overflow": "auto"})
        self.about = widgets.HTML(layout={"height": "84px", "overflow": "auto"})
        self.image = widgets.Image(format="png", layout={"width": "920px", "max_width": "100%"})
        controls = [self.corpus, self.model, self.beside, self.teach, self.expression, self.index]
        controls += [*self.sliders.values(), self.reset, self.target]
        controls += [self.keep, self.upload, *self.frame.values()]
        for widget in controls:
            widget.style.description_width = "118px"
            widget.layout.width = "320px"
        chosen = [self.model, self.beside, self.expression, self.index, self.target, *self.sliders.values()]
        for widget in chosen:
            widget.observe(self._on_change, "value")
        for widget in self.frame.values():
            widget.observe(self._on_frame, "value")
        self.corpus.observe(self._on_corpus, "value")
        self.upload.observe(self._on_upload, "value")
        self.teach.on_click(lambda _: self.train())
        self.reset.on_click(self._on_reset)
        self.keep.on_click(self._on_keep)
        left = widgets.VBox([widgets.HTML(CSS), *controls], layout={"width": "340px", "flex": "0 0 auto"})
        right = widgets.VBox(
            [self.message, self.bar, self.image, self.about], layout={"flex": "1 1 480px", "min_width": "0"}
        )
        self.box = widgets.HBox([left, right], layout={"flex_flow": "row wrap"})

    def show(self) -> None:
        """Display the panel, and then load the corpus that it begins with."""
        from IPython.display import display

        display(self.box)
        self._on_corpus({})

    # --- what happens when something is changed -------------------------------------------------------------

    @contextmanager
    def _working(self, said: str = "") -> Iterator[None]:
        """Keep observers still, show progress, and turn what goes wrong into a sentence."""
        self._say(said)
        self._quiet = True
        try:
            with progress.told(self._progress):
                yield
        except FerError as error:
            self._say(str(error), fault=True)
        except Exception as error:  # a widget's traceback would go where nobody looks
            self._say(f"Something went wrong that should not: {type(error).__name__}: {error}", fault=True)
        finally:
            self._quiet = False
            self.bar.layout.visibility = "hidden"

    def _progress(self, bar: progress.Bar) -> None:
        if time.monotonic() - bar.started > 0.5:  # what is done at once would only flicker
            self.bar.layout.visibility = "visible"
            self.bar.value = bar.done / max(1, bar.total)
            self._say(f"{bar.label} … {bar.status}")

    def _say(self, text: str, fault: bool = False) -> None:
        look = ' style="border-left:4px solid #c44a00;padding-left:10px" class="fault"' if fault else ""
        self.message.value = f"<p{look}>{escape(text)}</p>" if text else ""

    def _on_corpus(self, change: dict[str, Any]) -> None:
        if self._quiet:
            return
        name = self.corpus.value
        with self._working(f"Getting {datasets.CARDS[name].title} ready …"):
            try:
                if name not in self._collections:
                    self._collections[name] = explore_faces.collection(name, self.data_dir)
            except Exception:
                self.corpus.value = self._corpus or name
                raise
            self._corpus, self.photo = name, None
            for dropdown, first in ((self.expression, ANY), (self.target, PREDICTED)):
                dropdown.options = [first, *self.collection.held.classes]
            self._restart()
            self._refresh()

    def _on_change(self, change: dict[str, Any]) -> None:
        if self._quiet or self._corpus is None:
            return
        with self._working():
            owner = change["owner"]
            if owner in (self.expression, self.index):
                self.photo = None
            if owner is self.expression:
                self._restart()
            self._last = next((n for n, slider in self.sliders.items() if slider is owner), self._last)
            self._refresh()

    def _on_upload(self, change: dict[str, Any]) -> None:
        if self._quiet or not self.upload.value:
            return
        with self._working("Looking for a face …"):
            brought = bytes(self.upload.value[0]["content"])
            self.upload.value = ()  # the same file may be brought again
            pixels, note = explore_faces.read_photo(brought), ""
            height, width = pixels.shape
            try:
                self.photo = explore_faces.photograph(pixels)
            except explore_faces.NoFaceError as error:
                middle = np.array([width / 4, height / 4, width / 2, height / 2])
                self.photo = explore_faces.photograph(pixels, middle)
                note = f"{error} Or put the frame on the face yourself, with the three sliders below."
            corner, sides = np.split(self.photo.box, 2)
            place = (*(corner + sides / 2) / (width, height), max(sides) / min(height, width))
            for slider, value in zip(self.frame.values(), place, strict=True):
                slider.value = value
            self._refresh(note)

    def _on_frame(self, change: dict[str, Any]) -> None:
        if self._quiet or self.photo is None:
            return
        with self._working():
            pixels = self.photo.pixels
            across, down, side = (slider.value for slider in self.frame.values())
            side = side * min(pixels.shape)
            corner = np.array([across, down]) * pixels.shape[::-1] - side / 2
            self.photo = explore_faces.photograph(pixels, np.array([*corner, side, side]))
            self._refresh()

    def _on_reset(self, button: Any) -> None:
        with self._working():
            for slider in self.sliders.values():
                slider.value = 0
            self._refresh()

    def _on_keep(self, button: Any) -> None:
        with self._working():
            said, card = f"Saved as {self.save()}.", datasets.CARDS[self._corpus]
            if self.photo is None and not card.may_show:
                said += f" The terms of {card.title} do not allow its images to be published."
            self._say(said)

    def _restart(self) -> None:
        """Begin with the first of the faces that may be chosen."""
        self.index.max, self.index.value = max(1, len(self._members())), 1

    # --- what it looks like ---------------------------------------------------------------------------------

    def _refresh(self, said: str = "") -> None:
        """Draw everything anew; a network that was trained before is read back, and none is trained."""
        collection, names = self.collection, [self.model.value]
        names += [self.beside.value] if self.beside.value not in (None, *names) else []
        networks, waiting = [self._known(name) for name in names], self._untrained()
        self.teach.disabled = waiting is None
        self.teach.description = f"Train {waiting} here (seconds)" if waiting else "Trained"
        for slider in self.frame.values():
            slider.layout.visibility = "visible" if self.photo is not None else "hidden"
        whose = "your photo" if self.photo is not None else collection.train.card.title
        changes = [f"{INTERFERENCE[n][0].lower()} {v:g}" for n, v in self.severities.items() if v]
        title = f"{' | '.join(map(self._title, names))}\non {whose}, {', '.join(changes) or 'undisturbed'}"
        target = None if self.target.value == PREDICTED else self.target.value
        shown = self.face, collection, networks, self.severities, self._last, target, self.photo
        self.figure = picture(title, *shown)
        file = io.BytesIO()
        self.figure.savefig(file, format="png", dpi=100)
        self.image.value = file.getvalue()
        about = (explore_models.about(network, collection, self.photo is not None) for network in networks)
        self.about.value = "".join(f"<p>{escape(text)}</p>" for text in about)
        for name, network in zip(names, networks, strict=True):
            if network and (wanted := self.target.value) not in (PREDICTED, *network.classes):
                said += f" {self._title(name)} does not know {wanted}: its evidence is for its answer."
        self._say(said.strip())


def explore(**options: Any) -> Panel:
    """Show a panel; ``options`` are those of :class:`Panel`. It is returned for use in code."""
    panel = Panel(**options)
    panel.show()
    return panel

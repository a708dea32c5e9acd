"""What is said of figures: every recorded one has its words; an output of a notebook names its picture."""

import ast
import base64
import importlib.util
import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from types import SimpleNamespace

import cv2
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


figures = load("figures")
# What the chapters' loops call their figures, where nothing of the name is written out.
LOOPS = {
    ("cnn3d", "x"): {"confusion", "confusion_loso"},
    ("multimodal", "x"): {"robustness", "robustness_parts"},
    ("cspp", "x_x"): {"tsne_expression", "tsne_person", "umap_expression", "umap_person"},
}


def recorded(notebook: Path) -> set[str]:
    """Names under which a notebook records figures, ``x`` where it fills something in."""
    names = set()
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or source.startswith("%"):
            continue
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in ("feature_maps", "chapter.features"):
                names.add("features")
            elif called == "chapter.contact_sheet":
                names.add("contact_sheet")
            elif called == "chapter.show":
                name = format(eval(ast.unparse(node.args[0]), {"__builtins__": {}}, Anything()))
                names |= LOOPS.get((notebook.stem, name), {name})
    return names


class Anything(dict):
    """A namespace in which every name is a value that prints as ``x``."""

    def __missing__(self, name):
        return Filled()


class Filled:
    def __format__(self, spec):
        return "x"


NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.ipynb") if path.stem != "explore")


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_book_captions_yml_has_words_for_every_figure_of_a_notebook(notebook):
    names = recorded(notebook)
    assert names
    missing = {name for name in names if figures.words(name, notebook.stem) is None}
    assert not missing, f"add them to book/captions.yml: {sorted(missing)}"


def test_every_key_of_a_cell_in_the_book_has_words():
    for page in (ROOT / "book").glob("*.md"):
        for line in page.read_text("utf-8").splitlines():
            if line.startswith(":figure: "):
                assert figures.words(line.removeprefix(":figure: ")), (page.name, line)


def test_words_are_sentences_for_a_reader():
    for key, said in figures.captions().items():
        assert set(said) == {"caption", "alt"}, key
        for text in said.values():
            assert len(text) > 30, key
            assert text[0].isupper() or text.startswith("t-SNE"), key
            assert text.endswith("."), key
        assert not any(character.isdigit() and character != "0" for character in said["alt"]), key


class TestWords:
    def test_a_pattern_repeats_what_was_filled_in(self):
        assert figures.words("grad_cam_S2", "cnn_sift")["caption"].startswith("Grad-CAM of S2:")

    def test_a_paper_goes_before_all_and_an_exact_key_before_a_pattern(self):
        assert "over time" in figures.words("grad_cam_1", "cnn3d")["caption"]
        assert "two stages" in figures.words("grad_cam", "lkrnet")["caption"]
        assert "by person" in figures.words("tsne_person", "cspp")["caption"]
        assert "of person" in figures.words("tsne_person", "lkrnet")["caption"]

    def test_of_others_nothing_is_known(self):
        assert figures.words("unheard_of", "cspp") is None

    def test_a_pattern_needs_something_to_fill_in(self):
        assert fnmatchcase("tsne_C2", "tsne_*")
        assert figures.words("tsne", "cspp") is None


def test_a_picture_of_a_notebook_is_known_by_its_output_s_metadata(tmp_path):
    outputs = [
        nbformat.v4.new_output(
            "display_data", {"image/png": "", "text/plain": ""}, metadata={"figure": "roc"}
        ),
        nbformat.v4.new_output("display_data", {"text/html": ""}, metadata={"figure": "no picture"}),
        nbformat.v4.new_output("display_data", {"image/png": ""}),
    ]
    cells = [nbformat.v4.new_markdown_cell("# Run"), nbformat.v4.new_code_cell("1", outputs=outputs)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebook.ipynb")
    assert figures.recorded_names(tmp_path / "notebook.ipynb") == ["roc", None]


def test_the_corner_of_a_sheet_has_whole_pictures_with_their_words():
    sheet = np.full((400, 500), 255, np.uint8)
    for row in range(3):
        for column in range(4):
            y, x = 20 + 120 * row, 10 + 120 * column
            sheet[y : y + 90, x : x + 100] = 60  # a picture
            sheet[y + 98 : y + 106, x + 30 : x + 60] = 0  # and its words
    found = figures.corner(Image.fromarray(sheet), 2, 3)
    assert found.size == (10 + 3 * 120 - 10, (20 + 120 + 106 + 20 + 240) // 2)
    assert figures.corner(Image.fromarray(sheet), 9, 9).size == (500, 400)  # all there is
    assert figures.corner(Image.new("L", (50, 40), 255), 1, 1).size == (50, 40)


CONF = """
import sys
sys.path.insert(0, {extensions!r})
extensions = ["myst_nb", "figures"]
nb_execution_mode = "off"
numfig = True
numfig_format = {{"figure": "Figure %s"}}
html_theme = "basic"
"""
INDEX = """# Index

See {numref}`shown` and {numref}`cnn_sift-synthetic-smoke-seed0-confusion`; {numref}`absent` was not run.

```{recorded-figure} cnn_sift/synthetic confusion
:name: shown
```

```{recorded-figure} cnn_sift/jaffe confusion
:name: absent
An *own* caption.
```

```{recorded-figure} cnn_sift/synthetic conf*
:name: several
:cells: 1 1
Confusion of each network.
```

```{toctree}
results/cnn_sift/synthetic/smoke/seed0/notebook
```
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small book: a page that shows recorded figures, and the notebook that recorded one of two."""
    top = tmp_path_factory.mktemp("book")
    evidence = top / "results" / "cnn_sift" / "synthetic" / "smoke" / "seed0"
    (evidence / "figures").mkdir(parents=True)
    rng = np.random.default_rng(0)
    pictures = [cv2.resize(rng.integers(0, 256, (12, 16), np.uint8), (640, 480)) for _ in range(2)]
    cv2.imwrite(str(evidence / "figures" / "confusion.png"), pictures[0])
    facts = {"paper": "cnn_sift", "dataset": "synthetic", "budget": "smoke", "seed": 0, "variant": ""}
    (evidence / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    outputs = [
        nbformat.v4.new_output(
            "display_data",
            {
                "image/png": base64.b64encode(cv2.imencode(".png", picture)[1]).decode(),
                "text/plain": "<Figure>",
            },
            metadata=metadata,
        )
        for picture, metadata in zip(pictures, ({"figure": "confusion"}, {}), strict=True)
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# Run\n\n## Results"),
        nbformat.v4.new_code_cell("1", outputs=outputs),
    ]
    about = {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=about), evidence / "notebook.ipynb")
    (top / "conf.py").write_text(CONF.format(extensions=str(ROOT / "book" / "_ext")), encoding="utf-8")
    (top / "index.md").write_text(INDEX, encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-W", "-b", "html", str(top), str(top / "_out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

    def read(page):
        return BeautifulSoup((top / "_out" / f"{page}.html").read_text("utf-8"), "html.parser")

    return read("index"), read("results/cnn_sift/synthetic/smoke/seed0/notebook")


@pytest.mark.parametrize("address", ["https://example.org/fer", ""])
def test_a_book_links_to_its_repository_where_it_knows_the_address(address, monkeypatch):
    monkeypatch.setenv("FER_REPOSITORY", address)
    monkeypatch.setattr(sys, "path", [*sys.path])
    building = load("building")
    config = SimpleNamespace(html_theme_options={"use_repository_button": False})
    app = SimpleNamespace(extensions={name: SimpleNamespace() for name in building.SILENT})
    building.prepare(app, config)
    assert config.html_theme_options["use_repository_button"] is bool(address)
    assert config.html_theme_options.get("repository_url", "") == address


class TestBuilt:
    def test_a_notebook_s_picture_is_a_figure_with_its_words(self, built):
        known, other = built[1].select("figure")
        assert known.img["alt"] == figures.words("confusion")["alt"]
        assert "Confusion matrix" in known.figcaption.get_text()
        assert known["id"] == "cnn-sift-synthetic-smoke-seed0-confusion"
        assert "Results, picture 2" in other.figcaption.get_text()
        assert other.img["alt"]

    def test_a_page_shows_a_recorded_figure_and_says_of_which_run(self, built):
        shown = built[0].find(id="shown")
        assert shown.img["src"].endswith("confusion.png")
        assert "budget smoke, seed 0" in shown.figcaption.get_text()
        link = shown.figcaption.select_one(".figure-run a")
        assert link["href"] == "results/cnn_sift/synthetic/smoke/seed0/notebook.html"

    def test_without_evidence_it_says_so_and_shows_nothing(self, built):
        absent = built[0].find(id="absent")
        assert absent.img is None
        assert "Not run on JAFFE" in absent.get_text()
        assert absent.figcaption.em.get_text() == "own"

    def test_all_are_numbered_in_order_and_can_be_referred_to(self, built):
        numbers = [n.get_text().strip() for page in built for n in page.select(".caption-number")]
        assert numbers == ["Figure 1", "Figure 2", "Figure 3", "Figure 1.1", "Figure 1.2"]
        referred = [link.get_text() for link in built[0].select("p > a.reference.internal")][:3]
        assert referred == ["Figure 1", "Figure 1.1", "Figure 2"]

    def test_a_pattern_shows_every_picture_under_what_it_is_of(self, built):
        several = built[0].find(id="several")
        (image,) = (image["src"].split("/")[-1] for image in several.select("img"))
        assert image.endswith("confusion-1x1.png")  # the corner of the sheet
        assert several.select_one("p.fer-caption").get_text() == "usion"
        assert "of each network" in several.figcaption.get_text()

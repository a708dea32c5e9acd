"""The book as one document: pages in order, links that stay inside, nothing folded, nothing of the screen."""

import sys
from pathlib import Path

import pytest
from bs4 import BeautifulSoup

from fer_lib.errors import FerError

ROOT = Path(__file__).resolve().parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(str(ROOT / "book"))
    import pdf
for name in ("about_runs", "markup"):
    sys.modules.pop(name, None)

TOC = {
    "root": "book/intro",
    "parts": [
        {
            "caption": "First part",
            "chapters": [{"file": "book/a", "sections": [{"glob": "results/*/notebook"}]}],
        },
        {"caption": "Second part", "chapters": [{"file": "book/absent"}]},
    ],
}
PAGE = """<html><head><link rel="stylesheet" href="../_static/look.css?v=1"><script>1</script></head>
<body><nav>side bar</nav><article class="bd-article">{}</article></body></html>"""


@pytest.fixture
def html(tmp_path):
    """A built book of three pages."""
    pages = {
        "book/intro": '<h1>Intro<a class="headerlink" href="#i">#</a></h1>'
        '<a class="on" href="a.html#here">on</a><a class="out" href="https://example.org/x">out</a>'
        '<a class="file" href="../_static/chapter.png">picture</a>',
        "book/a": '<h1>A</h1><p id="here">here</p><details><summary>more</summary>folded</details>'
        '<a class="deep" href="../results/x/notebook.html">run</a><a class="own" href="#here">own</a>'
        "<script>2</script><button>copy</button>",
        "results/x/notebook": '<h1>Run</h1><img src="../../_images/f.png" loading="lazy" alt="f">',
    }
    for name, body in pages.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"{name}.html").write_text(PAGE.format(body), encoding="utf-8")
    return tmp_path


@pytest.fixture
def document(html):
    return BeautifulSoup(pdf.document(html, TOC, "A <title>"), "html.parser")


def test_contents_are_in_reading_order_and_name_the_parts(html):
    assert list(pdf.contents(TOC, html, "html").items()) == [
        ("book/intro", ""),
        ("book/a", "First part"),
        ("results/x/notebook", ""),
        ("book/absent", "Second part"),
    ]


class TestDocument:
    def test_has_every_built_page_in_order_and_lists_them(self, document):
        assert [s["id"] for s in document.select(".book-page")] == [
            "book--intro",
            "book--a",
            "results--x--notebook",
        ]
        listed = [a["href"] for a in document.select(".book-contents a")]
        assert listed == ["#book--intro", "#book--a", "#results--x--notebook"]
        assert document.select_one(".title-page h1").get_text() == "A <title>"

    def test_links_inside_the_book_lead_inside_the_document(self, document):
        href = {link["class"][0]: link.get("href") for link in document.select(".book-page a")}
        assert href == {
            "on": "#book--a--here",
            "own": "#book--a--here",
            "deep": "#results--x--notebook",
            "out": "https://example.org/x",
            "file": None,
        }
        ids = {place["id"] for place in document.select("[id]")}
        assert {link[1:] for link in href.values() if link and link.startswith("#")} <= ids

    def test_pictures_and_styles_are_found_from_the_root_of_the_book(self, document):
        assert document.img["src"] == "_images/f.png"
        assert document.link["href"] == "_static/look.css"

    def test_folds_are_open_and_the_screen_s_furniture_is_gone(self, document):
        assert document.details.has_attr("open")
        assert not document.select("script, button, nav, .headerlink")

    def test_a_page_that_is_none_is_named(self, html):
        (html / "book" / "a.html").write_text("<html></html>", encoding="utf-8")
        with pytest.raises(FerError, match=r"book/a\.html"):
            pdf.document(html, TOC, "t")

    def test_without_a_book_there_is_nothing_to_print(self, tmp_path):
        with pytest.raises(FerError, match="make book"):
            pdf.document(tmp_path, TOC, "t")


def test_prints_a_pdf_and_leaves_nothing_behind(html, tmp_path):
    if pdf.browser() is None:
        pytest.skip("no Chromium on this machine")
    target = tmp_path / "out" / "book.pdf"
    pdf.write(html, target, pdf.document(html, TOC, "t"))
    assert target.read_bytes().startswith(b"%PDF")
    assert not (html / ".book.html").exists()

"""The built book, opened in a real browser at desktop and phone width, in light and dark."""

import os
import re
from dataclasses import dataclass, field
from functools import cache
from html import unescape
from importlib.resources import files
from pathlib import Path
from urllib.parse import unquote, urlsplit

import cv2
import pytest
import yaml
from bs4 import BeautifulSoup

from fer_lib.claims import PAPERS
from fer_lib.data.datasets import CARDS

ROOT = Path(__file__).resolve().parents[1]
BOOK = Path(os.environ.get("FER_BOOK") or ROOT / "_build" / "html").resolve()
WIDTHS = {"phone": (390, 844), "desktop": (1440, 900)}
BETWEEN = (820, 1000, 1199, 1280)  # where sidebars come and go; the last is a common screen
ANCHOR, TITLE = re.compile(r'\sid="([^"]+)"'), re.compile(r"<h1>(.+?)<a class=\"headerlink")
NUMBER = re.compile(r'class="caption-number">Figure ([\d.]+)')
DEBRIS = re.compile(r"Traceback \(most recent call last\)|\d%\||\bit/s\b|\bs/it\b|<Figure size|\x1b\[")
TEX = re.compile(r"\$\$|\\(?:frac|begin|sum|mathbb|times|cdot)\b")
# Overview pages that set runs out; with runs on synthetic faces or below budget paper they must say so.
ON_RUNS = {"book/intro", "book/scorecard", "book/matrix", "book/protocols", "book/datasets_synthetic"}
ON_RUNS |= {f"book/{paper}" for paper in PAPERS}


def contents(entry) -> list[str]:
    """Pages of the table of contents, in order."""
    if isinstance(entry, list):
        return [page for item in entry for page in contents(item)]
    if not isinstance(entry, dict):
        return []
    own = [entry[key] for key in ("root", "file") if key in entry]
    if "glob" in entry:  # what it matches was built
        found = sorted(BOOK.glob(f"{entry['glob']}.html"))
        own += [path.relative_to(BOOK).as_posix().removesuffix(".html") for path in found]
    return own + [page for value in entry.values() for page in contents(value)]


PAGES = contents(yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8")))
UNCOUNTED = ("book/datasets_crema_d",)  # its films are not counted by class anywhere: no chart of classes
RESULTS = [page for page in PAGES if page.startswith("results/")]


def below_paper(page: str) -> bool:
    """Whether a page shows a run that is no evidence: results/<paper>/<dataset>/<budget>/..."""
    if page.startswith("results/"):
        _, _, dataset, budget, *_ = page.split("/")
        return dataset == "synthetic" or budget not in ("full", "paper")
    return page in ON_RUNS and any(map(below_paper, RESULTS))


LOOK = """async () => {
  await Promise.all(document.getAnimations().map(slide => slide.finished.catch(() => null)));
  const box = e => { const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; };
  const article = document.querySelector('article') || document.body;
  const all = (s, f) => [...article.querySelectorAll(s)].map(f);
  return {
    title: (article.querySelector('h1') || {innerText: ''}).innerText,
    text: article.innerText,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    images: all('img', e => (
      {src: e.currentSrc || e.src, natural: [e.naturalWidth, e.naturalHeight], box: box(e), alt: e.alt,
       caption: ((e.closest('figure') || e).querySelector('figcaption') || {innerText: ''}).innerText})),
    formulas: all('math', box),
    banners: all('.budget-banner', box),
    tables: all('table', e => {
      let scrolls = false;
      for (let p = e; p !== article; p = p.parentElement)
        scrolls = scrolls || ['auto', 'scroll'].includes(getComputedStyle(p).overflowX);
      return {fits: e.getBoundingClientRect().right <= innerWidth + 1, scrolls};
    }),
    links: [...document.querySelectorAll('a[href]')]
      .map(e => new URL(e.getAttribute('href'), document.baseURI).href),
  };
}"""

# Tables wider than their column, with what is folded up opened. Those of older runs have no label.
WIDE = """() => {
  const folds = [...document.querySelectorAll('article details.fer-fold:not([open])')];
  const open = to => folds.forEach(fold => { fold.open = to; });
  open(true);
  const wide = [...document.querySelectorAll('article .table-scroll[aria-label]')]
    .filter(box => box.scrollWidth > box.clientWidth + 1)
    .map(box => `${box.getAttribute('aria-label')}: ${box.scrollWidth} in ${box.clientWidth} pixels`);
  open(false);
  return wide;
}"""

# What axe finds depends on the theme only in contrast, and on the width only in what scrolls and in the size
# of what is tapped: the rest is asked once. While it looks, of a table's rows that differ in nothing but
# words, links and data only two are there, for it would say the same of all; and the shade at a table's edge
# is not, before which it gives no verdict on contrast.
AXE = """async ([theme, options]) => {
  document.documentElement.dataset.theme = theme;
  const boxes = [...document.querySelectorAll('.table-scroll')];
  const whole = [...document.querySelectorAll('tbody')].map(body => [body, [...body.rows]]);
  const later = [...document.querySelectorAll('tr.later')];
  boxes.forEach(box => { box.style.background = 'none'; });
  later.forEach(row => row.classList.remove('later'));
  for (const [body, rows] of whole) {
    const met = {};
    body.replaceChildren(...rows.filter(row => {
      const shape = row.outerHTML.replace(/>[^<]+/g, '>').replace(/ (id|href|data-[a-z]+)="[^"]*"/g, '');
      met[shape] = (met[shape] || 0) + 1;
      return met[shape] < 3;
    }));
  }
  const found = await axe.run(document, {resultTypes: ['violations'], preload: false, ...options});
  whole.forEach(([body, rows]) => body.replaceChildren(...rows));
  later.forEach(row => row.classList.add('later'));
  boxes.forEach(box => { box.style.background = ''; });
  return found.violations
    .filter(v => ['serious', 'critical'].includes(v.impact))
    .flatMap(v => v.nodes.map(n => `${theme}: ${v.id}: ${n.target.join(' ')}: ${n.failureSummary}`));
}"""
ASKED = {
    "desktop": [("light", {}), ("dark", {"runOnly": ["color-contrast"]})],
    "phone": [("light", {"runOnly": ["scrollable-region-focusable", "target-size"]})],
}
# Pages of the API are one template filled by docstrings, and runs of a chapter are one notebook:
# axe reads the first of each, and the first run in the dark as well.
CHAPTERS = {page.split("/")[1]: page for page in reversed(RESULTS)}
SAID_ELSEWHERE = {page for page in PAGES if page.startswith("book/_api/") and not page.endswith(".features")}
SAID_ELSEWHERE |= {*RESULTS} - {*CHAPTERS.values()}
AXED = [page for page in PAGES if page not in SAID_ELSEWHERE]


@dataclass
class Visit:
    """What a browser found on one page at one width."""

    seen: dict
    complaints: list[str]
    requests: list[str]
    violations: list[str] = field(default_factory=list)
    sideways: list[int] = field(default_factory=list)  # widths, in pixels, at which the page scrolls sideways
    wide: dict[int, list[str]] = field(default_factory=dict)  # width -> tables wider than their column


def opened(tab, address: str) -> None:
    """Open a page and wait for its pictures, those far below too."""
    tab.goto(address, wait_until="load")
    tab.evaluate("document.querySelectorAll('img').forEach(e => { e.loading = 'eager'; })")
    tab.wait_for_function("[...document.images].every(e => e.complete)")


def size(width: str) -> dict[str, int]:
    return dict(zip(("width", "height"), WIDTHS[width], strict=True))


@pytest.fixture(scope="module")
def visit(book, browser):
    """Open a page once, on a phone, widen it to a desktop's and remember what was found at each width."""
    context = browser.new_context(viewport=size("phone"), reduced_motion="reduce")
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    visits: dict[tuple[str, str], Visit] = {}

    def open_once(name: str) -> None:
        tab, complaints, requests = context.new_page(), [], []
        tab.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))
        tab.on("request", lambda request: requests.append(request.url))
        opened(tab, (book / f"{name}.html").as_uri())
        if name in AXED:
            tab.evaluate(axe)
        for width in WIDTHS:
            tab.set_viewport_size(size(width))
            visits[name, width] = found = Visit(tab.evaluate(LOOK), complaints, requests)
            for question in ASKED[width][: 1 if name in RESULTS[1:] else None] if name in AXED else ():
                found.violations += tab.evaluate(AXE, question)
            for between in BETWEEN if width == "phone" and name in AXED and name not in RESULTS else ():
                tab.set_viewport_size({"width": between, "height": 800})
                if tab.evaluate("document.documentElement.scrollWidth") > between:
                    found.sideways.append(between)
        for wide in (1280, WIDTHS["phone"][0]):
            tab.set_viewport_size({"width": wide, "height": 800})
            visits[name, "phone"].wide[wide] = tab.evaluate(WIDE)
        tab.close()

    def look(name: str, width: str = "desktop") -> Visit:
        if (name, width) not in visits:
            open_once(name)
        return visits[name, width]

    yield look
    context.close()


@cache
def anchors(book: Path, page: str) -> set[str]:
    """Return the ids that a page holds as it lies on the disk: many links lead to few large pages."""
    return {unescape(name) for name in ANCHOR.findall((book / f"{page}.html").read_text("utf-8"))}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
class TestEveryPage:
    def test_loads_quietly_and_fetches_nothing_from_a_network(self, visit, page, width):
        found = visit(page, width)
        assert found.complaints == []
        assert [url for url in found.requests if urlsplit(url).scheme not in ("file", "data", "blob")] == []

    def test_does_not_scroll_sideways(self, visit, page, width):
        seen = visit(page, width).seen
        assert seen["overflow"] <= 0
        assert all(table["fits"] or table["scrolls"] for table in seen["tables"])

    def test_says_something_and_shows_no_debris(self, visit, page, width):
        seen = visit(page, width).seen
        assert seen["title"].strip()
        assert len(seen["text"]) > 300
        assert not (found := DEBRIS.search(seen["text"])), found
        assert not (found := TEX.search(seen["text"])), found

    def test_shows_its_figures_and_formulas(self, visit, page, width):
        seen = visit(page, width).seen
        for image in seen["images"]:
            assert min(image["natural"]) > 0, image
            assert image["box"][2] > 50, image
            assert image["box"][3] > 20, image
            assert image["box"][0] >= 0, image
        assert all(formula[2] > 0 and formula[3] > 0 for formula in seen["formulas"])

    def test_says_at_its_top_what_its_runs_are_not(self, visit, page, width):
        seen = visit(page, width).seen
        if below_paper(page):
            assert seen["banners"], "no element of class budget-banner"
            _, top, wide, high = seen["banners"][0]
            assert min(wide, high) > 20
            assert top < 1.5 * WIDTHS[width][1], f"the banner is {top:.0f} pixels down"


@pytest.mark.parametrize("page", PAGES)
def test_nothing_is_wider_than_the_page_and_no_table_than_its_column(visit, page):
    found = visit(page, "phone")
    assert found.sideways == []
    assert found.wide == {1280: [], WIDTHS["phone"][0]: []}


@pytest.mark.parametrize("paper", PAPERS)
def test_an_overview_has_its_network_its_chart_and_its_verdict(book, paper):
    page = BeautifulSoup((book / f"book/{paper}.html").read_text("utf-8"), "html.parser")
    heads = [head.get_text().rstrip("#") for head in page.select("article h2")]
    assert heads == [
        *("At a glance", "The idea", "The guesses that matter most", "Results", "Verdict"),
        *("What does not add up", "Run it yourself"),
    ]
    (network,) = page.select("svg.fer-diagram")
    assert len(network.select("rect")) > 4
    assert network.select(".guessed")
    assert page.select_one("svg.fer-dumbbells .claimed")
    sentences = {said.get_text() for said in page.select(".verdict-sentence")}
    assert len(sentences) == 1  # at a glance and in its section, the same
    front = BeautifulSoup((book / "book/intro.html").read_text("utf-8"), "html.parser")
    assert sentences <= {said.get_text() for said in front.select(".fer-card .verdict-sentence")}


def test_the_front_page_s_numbers_add_up(book):
    front = BeautifulSoup((book / "book/intro.html").read_text("utf-8"), "html.parser")
    cards = [
        re.search(r"Of (\d+) claims, (\d+) are judged", said.get_text()) for said in front.select(".fer-card")
    ]
    claims, judged = (sum(int(card[i]) for card in cards) for i in (1, 2))
    assert f"{claims} claims" in front.get_text()
    assert f"{judged} are judged" in front.get_text()
    score = BeautifulSoup((book / "book/scorecard.html").read_text("utf-8"), "html.parser")
    for head, total in (("Claims", claims), ("Judged", judged)):
        assert sum(int(cell.get_text()) for cell in score.select(f'td[data-head="{head}"]')) == total


@pytest.mark.parametrize("page", ["book/intro", *RESULTS[:1]])
def test_a_page_opened_on_a_desktop_is_the_page_widened(visit, book, browser, page):
    """All others are opened narrow and widened, which takes half the time."""
    tab = browser.new_page(viewport=size("desktop"), reduced_motion="reduce")
    opened(tab, (book / f"{page}.html").as_uri())
    seen, widened = tab.evaluate(LOOK), visit(page, "desktop").seen
    tab.close()
    for what in ("overflow", "text", "tables", "banners", "formulas", "images"):
        assert seen[what] == widened[what], what


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", AXED)
def test_nothing_serious_bars_a_reader(visit, page, width):
    assert visit(page, width).violations == []


@pytest.mark.parametrize("page", PAGES)
def test_every_picture_is_numbered_said_in_words_and_not_blank(visit, page):
    images = visit(page).seen["images"]
    if page in RESULTS or (page.startswith("book/datasets_") and page not in UNCOUNTED):
        assert images, "a page of figures has none"
    for image in images:
        assert len(image["alt"].strip()) > 20, image
        number, _, said = image["caption"].partition(" ")[2].partition(" ")
        assert image["caption"].startswith("Figure "), image
        assert re.fullmatch(r"(\d+\.)?\d+", number), image
        assert len(said) > 20, image
        pixels = cv2.imread(unquote(urlsplit(image["src"]).path), cv2.IMREAD_UNCHANGED)
        assert pixels is not None, image
        assert pixels[..., :3].std() > 2, f"{image['src']} is blank"


def test_no_two_pages_have_one_title(book):
    titles = [TITLE.search((book / f"{page}.html").read_text("utf-8"))[1] for page in PAGES]
    assert len(titles) == len(set(titles))


def test_figures_are_numbered_once(book):
    numbers = []
    for page in PAGES:
        numbers += NUMBER.findall((book / f"{page}.html").read_text("utf-8"))
    assert len(numbers) > len(RESULTS)
    assert len(numbers) == len(set(numbers))


@pytest.mark.parametrize(
    "page", [f"book/datasets_{name}" for name, card in CARDS.items() if not card.may_show]
)
def test_the_page_of_a_restricted_corpus_has_no_picture_but_its_class_balance(visit, page):
    images = visit(page).seen["images"]
    assert len(images) == (page not in UNCOUNTED)
    if not images:
        return
    pixels = cv2.imread(unquote(urlsplit(images[0]["src"]).path))
    assert (pixels == 255).all(axis=2).mean() > 0.5  # bars on white; a photograph has little pure white


@pytest.mark.parametrize("page", PAGES)
def test_links_inside_the_book_lead_somewhere(visit, book, page):
    for link in visit(page).seen["links"]:
        parts = urlsplit(link)
        if parts.scheme != "file":
            continue
        target = Path(unquote(parts.path))
        assert target.is_file(), link
        assert target.is_relative_to(book), link
        name = target.relative_to(book).as_posix().removesuffix(".html")
        if parts.fragment and name in PAGES:
            assert unquote(parts.fragment) in anchors(book, name), link


@pytest.mark.skipif(not RESULTS, reason="the book has no executed notebook")
def test_one_line_opens_all_the_code_of_a_section(book, browser):
    tab = browser.new_page()
    opened(tab, (book / f"{RESULTS[0]}.html").as_uri())
    section = tab.locator("section:has(> .cell > details.follows)").first
    lines = section.locator("> .cell > details.hide")
    assert [line.is_visible() for line in lines.all()] == [True] + [False] * (lines.count() - 1)
    lines.first.locator("summary").click()
    tab.wait_for_function("document.querySelector('details.follows').open")
    assert all(line.evaluate("e => e.open") for line in lines.all())
    tab.close()


def test_a_printed_page_shows_what_is_folded_on_the_screen(book, browser):
    page = browser.new_page()
    page.goto((book / "book" / "lkrnet.html").as_uri())
    heights = "[...document.querySelectorAll('main details')].map(e => e.getBoundingClientRect().height)"
    folded = page.evaluate(heights)
    page.emulate_media(media="print")
    assert sum(page.evaluate(heights)) > 2 * sum(folded) > 0
    page.close()


def test_the_front_door_leads_to_the_introduction(book, browser):
    page = browser.new_page()
    page.goto((book / "index.html").as_uri())
    page.wait_for_url("**/book/intro.html")
    assert "reproducibility companion" in page.locator("h1").first.inner_text()
    page.close()

"""The whole book as one PDF: its built pages in one document, printed by a browser of the Chromium family.

Run ``python book/pdf.py`` after ``make book`` (or ``make pdf``, which does both). Pages follow the table of
contents, each on a new sheet; links between them lead to sheets of the same file. Nothing is fetched from a
network.
"""

from __future__ import annotations

import argparse
import posixpath
import shutil
import sys
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag

from fer_lib.cli.care import BROWSERS
from fer_lib.errors import FerError
from fer_lib.evidence.provenance import repository
from fer_lib.files import atomic

LEFT_OUT = (
    "script, .headerlink, .copybtn, .prev-next-area, .toggle-button, nav, button, input, .fer-screen-only"
)
SHEET = {"top": "18mm", "bottom": "20mm", "left": "17mm", "right": "17mm"}
NUMBER = (
    '<div style="width: 100%; font: 8px sans-serif; color: #555; text-align: center">'
    '<span class="pageNumber"></span></div>'
)


def contents(toc: dict[str, Any], html: Path) -> list[tuple[str, str]]:
    """Return the pages in reading order, each with the caption of the part that it opens ("" for others).

    A pattern stands for the built pages that it matches.
    """
    found = [(toc["root"], "")]

    def walk(chapters: Iterable[dict[str, Any]]) -> Iterable[str]:
        for chapter in chapters:
            if "glob" in chapter:
                found = sorted(html.glob(f"{chapter['glob']}.html"))
                yield from (file.relative_to(html).as_posix().removesuffix(".html") for file in found)
            else:
                yield chapter["file"]
            yield from walk(chapter.get("sections", ()))

    for part in toc["parts"]:
        pages = list(walk(part["chapters"]))
        found += [(page, part["caption"] if i == 0 else "") for i, page in enumerate(pages)]
    return found


def anchor(page: str, fragment: str = "") -> str:
    """Return the id of a page, or of a place on it, in the one document."""
    return f"{page.replace('/', '--')}{'--' + fragment if fragment else ''}"


def article(html: Path, page: str, pages: set[str]) -> Tag:
    """Return what a page says, fit to stand beside the other pages' contents.

    Parameters
    ----------
    html
        The folder of the built book.
    page
        Its name without suffix, from that folder.
    pages
        All pages of the document; links to others become plain text.
    """
    soup = BeautifulSoup((html / f"{page}.html").read_text("utf-8"), "html.parser")
    body = soup.select_one("article.bd-article")
    if body is None:
        raise FerError(f"{page}.html is no page of this book: it has no article. Build the book again.")
    for unwanted in body.select(LEFT_OUT):
        unwanted.decompose()
    for fold in body.select("details"):
        fold["open"] = ""
    for place in body.select("[id]"):
        place["id"] = anchor(page, place["id"])
    for image in body.select("img"):
        image["src"] = _inside(page, image["src"])
        image.attrs.pop("loading", None)
    for link in body.select("a[href]"):
        _relink(link, page, pages)
    body.name, body.attrs = "section", {"class": "book-page bd-article", "id": anchor(page)}
    return body


def _inside(page: str, address: str) -> str:
    """Return a relative address of a page as one from the root of the book."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), address))


def _relink(link: Tag, page: str, pages: set[str]) -> None:
    """Make a link lead to a place in the document; one to another file of the book becomes plain text."""
    parts = urlsplit(link["href"])
    if parts.scheme or parts.netloc:
        return
    target = _inside(page, parts.path).removesuffix(".html") if parts.path else page
    if target in pages:
        link["href"] = "#" + anchor(target, unquote(parts.fragment))
    else:
        del link["href"]


def document(html: Path, toc: dict[str, Any], title: str) -> str:
    """Return the whole book as one page of HTML that lies in the folder of the built book."""
    listed = [(page, part) for page, part in contents(toc, html) if (html / f"{page}.html").is_file()]
    if not listed:
        raise FerError(f"{html.name} holds no built page; `make book` builds them.")
    pages = {page for page, _ in listed}
    head = BeautifulSoup((html / f"{listed[0][0]}.html").read_text("utf-8"), "html.parser").head
    styles = [
        f'<link rel="stylesheet" href="{_inside(listed[0][0], urlsplit(link["href"]).path)}">'
        for link in head.select('link[rel="stylesheet"]')
    ]
    chapters, lines = [], []
    for page, part in listed:
        body = article(html, page, pages)
        heading = body.select_one("h1")
        if part:
            lines.append(f'<li class="part">{escape(part)}</li>')
        lines.append(
            f'<li><a href="#{anchor(page)}">{escape(heading.get_text() if heading else page)}</a></li>'
        )
        chapters.append(str(body))
    heading, own = escape(title), '<link rel="stylesheet" href="_static/print.css">'
    return (
        '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f"<title>{heading}</title>{''.join(styles)}{own}</head>"
        f'<body class="book-print"><main class="bd-content"><section class="title-page"><h1>{heading}</h1>'
        f'<ol class="book-contents">{"".join(lines)}</ol></section>{"".join(chapters)}</main></body></html>'
    )


def browser() -> str | None:
    """Return a browser of the Chromium family on this machine; None leaves the choice to Playwright."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def write(html: Path, target: Path, source: str) -> None:
    """Print ``source``, which is laid into ``html`` for the while, to the PDF ``target``.

    Raises
    ------
    FerError
        Without a browser.
    """
    from playwright.sync_api import Error, sync_playwright

    page_file = html / ".book.html"
    try:
        page_file.write_text(source, encoding="utf-8")
        with sync_playwright() as playwright, atomic(target) as temporary:
            try:
                chromium = playwright.chromium.launch(
                    executable_path=browser(), args=["--no-sandbox", "--disable-gpu"]
                )
            except Error:
                raise FerError(
                    "No browser was found to print with; install Chromium or Chrome, or type "
                    "`playwright install chromium`."
                ) from None
            page = chromium.new_page()
            page.set_default_timeout(600_000)
            page.goto(page_file.as_uri(), wait_until="load")
            page.wait_for_function("[...document.images].every(image => image.complete)")
            page.pdf(
                path=temporary, format="A4", margin=SHEET, print_background=True, outline=True, tagged=True,
                display_header_footer=True, header_template="<span></span>", footer_template=NUMBER,
            )  # fmt: skip
            chromium.close()
    finally:
        page_file.unlink(missing_ok=True)


def main() -> None:
    """Print the built book."""
    top = repository()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--html", type=Path, default=top / "_build" / "html", help="the built book")
    parser.add_argument("--output", type=Path, default=top / "_build" / "book.pdf")
    args = parser.parse_args()
    title = yaml.safe_load((top / "_config.yml").read_text("utf-8"))["title"]
    toc = yaml.safe_load((top / "_toc.yml").read_text("utf-8"))
    try:
        write(args.html.resolve(), args.output, document(args.html.resolve(), toc, title))
    except FerError as error:
        sys.exit(f"error: {error}")
    print(f"The book: {args.output} ({args.output.stat().st_size / 2**20:.1f} MiB)")


if __name__ == "__main__":
    main()

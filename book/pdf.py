"""The whole book as one PDF (``make pdf``): its built pages in one document, printed by a browser."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Collection
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from about_runs import contents
from bs4 import BeautifulSoup, Tag

from fer_lib.cli.care import browser
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


def anchor(page: str, fragment: str = "") -> str:
    """Return the id of a page, or of a place on it, in the one document."""
    return f"{page.replace('/', '--')}{'--' + fragment if fragment else ''}"


def article(html: Path, page: str, pages: Collection[str]) -> Tag:
    """Return what a page of the built book says, fit to stand beside the other ``pages``' contents."""
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
    for link in body.select("a[href]"):  # to a place in the document; one to another file becomes plain text
        parts = urlsplit(link["href"])
        if parts.scheme or parts.netloc:
            continue
        target = _inside(page, parts.path).removesuffix(".html") if parts.path else page
        if target in pages:
            link["href"] = "#" + anchor(target, unquote(parts.fragment))
        else:
            del link["href"]
    body.name, body.attrs = "section", {"class": "book-page bd-article", "id": anchor(page)}
    return body


def _inside(page: str, address: str) -> str:
    """Return a relative address of a page as one from the root of the book."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), address))


def document(html: Path, toc: dict[str, Any], title: str) -> str:
    """Return the whole book as one page of HTML that lies in the folder of the built book."""
    listed = contents(toc, html, "html")
    pages = [page for page in listed if (html / f"{page}.html").is_file()]
    if not pages:
        raise FerError(f"{html.name} holds no built page; `make book` builds them.")
    head = BeautifulSoup((html / f"{pages[0]}.html").read_text("utf-8"), "html.parser").head
    styles = [
        f'<link rel="stylesheet" href="{_inside(pages[0], urlsplit(link["href"]).path)}">'
        for link in head.select('link[rel="stylesheet"]')
    ]
    chapters, lines = [], []
    for page in pages:
        body, part = article(html, page, pages), listed[page]
        heading = body.select_one("h1")
        if part:
            lines.append(f'<li class="part">{escape(part)}</li>')
        name = escape(heading.get_text() if heading else page)
        lines.append(f'<li><a href="#{anchor(page)}">{name}</a></li>')
        chapters.append(str(body))
    heading, own = escape(title), '<link rel="stylesheet" href="_static/print.css">'
    return (
        '<!doctype html><html lang="en" data-theme="light" data-mode="light"><head><meta charset="utf-8">'
        f"<title>{heading}</title>{''.join(styles)}{own}</head>"
        f'<body class="book-print"><main class="bd-content"><section class="title-page"><h1>{heading}</h1>'
        f'<ol class="book-contents">{"".join(lines)}</ol></section>{"".join(chapters)}</main></body></html>'
    )


def write(html: Path, target: Path, source: str) -> None:
    """Print ``source``, which is laid into ``html`` for the while, to the PDF ``target``."""
    from playwright.sync_api import Error, sync_playwright

    page_file = html / ".book.html"
    try:
        page_file.write_text(source, encoding="utf-8")
        with sync_playwright() as playwright, atomic(target) as temporary:
            try:
                arguments = ["--no-sandbox", "--disable-gpu"]
                chromium = playwright.chromium.launch(executable_path=browser(), args=arguments)
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


if __name__ == "__main__":
    top = repository()
    title = yaml.safe_load((top / "_config.yml").read_text("utf-8"))["title"]
    toc = yaml.safe_load((top / "_toc.yml").read_text("utf-8"))
    built, output = top / "_build" / "html", top / "_build" / "book.pdf"
    try:
        write(built, output, document(built, toc, title))
    except FerError as error:
        sys.exit(f"error: {error}")
    print(f"The book: {output} ({output.stat().st_size / 2**20:.1f} MiB)")

"""Sphinx extension: mathematics as MathML, which browsers draw without a script or a download."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.utils.math import MathError, pick_math_environment
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def _mathml(translator: Any, node: nodes.Node, block: bool) -> str:
    """Return the node's TeX as MathML; what the converter does not know is a warning and stays TeX."""
    tex = node.astext()
    if block:
        environment = pick_math_environment(tex)
        if environment != "equation*":
            tex = f"\\begin{{{environment}}}{tex}\\end{{{environment}}}"
    try:
        return tex2mathml(tex, as_block=block)
    except MathError as error:
        logger.warning("mathematics not understood (%s): %s", error, tex, location=node)
        return f"<code>{translator.encode(tex)}</code>"


def _inline(translator: Any, node: nodes.Node) -> None:
    translator.body.append(_mathml(translator, node, block=False))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.Node) -> None:
    number = node.get("number")
    label = f'<span class="eqno">({number})</span>' if number else ""
    anchor = f' id="{node["ids"][0]}"' if node.get("ids") else ""
    translator.body.append(
        f'<div class="math-block"{anchor}>{label}{_mathml(translator, node, block=True)}</div>\n'
    )
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, Any]:
    """Register the renderer ``mathml`` for ``html_math_renderer``."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

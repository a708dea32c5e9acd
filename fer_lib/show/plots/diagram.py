"""A network drawn from the network itself: boxes of its layers, joined where gradients flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import groupby
from re import search
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

WIDTH, GAP, LINE, EDGE = 360, 22, 15, 6  # in units of the drawing; EDGE is between a box and its text
QUIET = ("norm", "relu", "tanh", "elu", "dropout", "flatten", "identity", "act")  # what a box does not name


@dataclass(eq=False)
class Block:
    """Layers in one box, and the boxes that it reads. What enters or leaves the network is a box of its own.

    ``layers`` are name, module and shape of the output without the batch axis.
    """

    reads: list[Block]
    name: str = ""
    layers: list[tuple[str, nn.Module, tuple[int, ...]]] = field(default_factory=list)
    entered: tuple[int, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that it leaves."""
        return self.layers[-1][2] if self.layers else self.entered

    def lines(self) -> list[str]:
        """Return what the box says: its layers, those alike counted, and the shape that they leave."""
        texts = [text for _, layer, _ in self.layers if (text := _said(layer))]
        counted = [f"{n} × {text}" if (n := len(list(same))) > 1 else text for text, same in groupby(texts)]
        size = "×".join(f"{n:,}" for n in self.shape)
        if len(self.shape) == 1:
            size = "" if texts and texts[-1].startswith("dense") else f"{size} values"
        return [*(counted or [self.name or "side by side"]), *([size] if size else [])]

    @property
    def high(self) -> int:
        """The height of the box."""
        return 2 * EDGE + LINE * len(self.lines())


def blocks(model: nn.Module, inputs: Mapping[str, Tensor]) -> list[Block]:
    """Run a network once and return its boxes, each after those that it reads.

    Layers in a row share a box up to their pool, or while their maps keep their shape; dense layers in a row
    share one. Sums, products and concatenation are no layers: they show as a box that reads several.
    ``inputs`` are batches of one, float, by name, in the order in which ``forward`` takes them.
    """
    import torch

    values = [value.clone().requires_grad_() for value in inputs.values()]
    order = [Block([], name, entered=tuple(value.shape[1:])) for name, value in inputs.items()]
    made: dict[object, tuple[Block, int]] = {}  # step of the gradient -> box, place of the layer in it
    sources = {id(value): block for value, block in zip(values, order, strict=True)}

    def origins(tensor: Tensor) -> list[Block]:
        found, seen, stack = [], set(), [tensor.grad_fn]
        if tensor.grad_fn is None:
            return [sources[id(tensor)]]
        while stack:
            step = stack.pop()
            if step in made:
                found.append(_ending(order, made, *made[step]))
            elif id(getattr(step, "variable", None)) in sources:
                found.append(sources[id(step.variable)])
            elif step is not None and step not in seen:
                seen.add(step)
                stack += [before for before, _ in step.next_functions]
        return sorted(dict.fromkeys(found), key=order.index)

    def record(name: str) -> object:
        def hook(layer: nn.Module, given: tuple, output: Tensor) -> None:
            reads, shape = origins(given[0]), tuple(output.shape[1:])
            block = reads[0] if len(reads) == 1 and _joins(reads[0], layer, shape) else Block(reads)
            if not block.layers:
                order.append(block)
            block.layers.append((name, layer, shape))
            made[output.grad_fn] = block, len(block.layers) - 1

        return hook

    units = {name: layer for name, layer in model.named_modules() if name and _is_unit(layer)}
    handles = [
        layer.register_forward_hook(record(name))
        for name, layer in units.items()
        if not any(name.startswith(f"{outer}.") for outer in units)
    ]
    with torch.enable_grad():
        output = model.eval()(*values)
    last = origins(output[0] if isinstance(output, tuple) else output)
    for handle in handles:
        handle.remove()
    return order if len(last) == 1 else [*order, Block(last, "mean of the branches")]


def _ending(order: list[Block], made: dict[object, tuple[Block, int]], block: Block, at: int) -> Block:
    """Return the box that ends with layer ``at`` of ``block``, which is divided there if it goes on."""
    if at == len(block.layers) - 1:
        return block
    rest = Block([block], layers=block.layers[at + 1 :])
    del block.layers[at + 1 :]
    for other in order:
        other.reads = [rest if read is block else read for read in other.reads]
    order.insert(order.index(block) + 1, rest)
    moved = {step: (rest, k - at - 1) for step, (owner, k) in made.items() if owner is block and k > at}
    made |= moved
    return block


def _is_unit(layer: nn.Module) -> bool:
    """Whether a module is drawn as one layer: it holds none, or layers for a ``forward`` of its own."""
    from torch import nn

    holders = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    children = list(layer.children())
    return not children or not (isinstance(layer, holders) or any(isinstance(c, holders) for c in children))


def _joins(block: Block, layer: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether a layer goes on in the box that it reads."""
    if not block.layers:
        return False
    said, before = _said(layer), [text for _, module, _ in block.layers if (text := _said(module))]
    if not said:
        return True
    if said.startswith("dense"):
        return bool(before) and before[-1].startswith("dense")
    same = not said.startswith("conv") or shape == block.shape
    return same and len(block.shape) > 1 and "pyramid" not in said and not before[-1].endswith("pool")


def _said(layer: nn.Module) -> str:
    """Return what a box says of a layer; nothing of those that only shape values."""
    kind = type(layer).__name__
    if any(word in kind.lower() for word in QUIET):
        return ""
    if "Conv" in kind:
        return f"conv {'×'.join(map(str, layer.kernel_size))}"
    if kind == "Linear":
        return f"dense {layer.out_features:,}"
    if "Pool" in kind and hasattr(layer, "kernel_size"):
        return f"{'max' if 'Max' in kind else 'mean'} pool"
    return {"SpatialPyramidPooling": "spatial pyramid", "CBAM": "attention (CBAM)"}.get(kind, kind)


# --- the drawing --------------------------------------------------------------------------------------------


def diagram(
    model: nn.Module, inputs: Mapping[str, Tensor], title: str, guesses: Sequence[Mapping[str, str]] = ()
) -> str:
    """Return a network (see :func:`blocks`) as inline SVG, from what it reads at the top to its answer below.

    ``title`` is what a screen reader says of the drawing. ``guesses`` say what is guessed of its layers:
    ``layers`` (a pattern of their names), ``href`` and ``problem``. A box that holds such a layer is dashed
    and links to the first of them.
    """
    order = blocks(model, inputs)
    rows = _rows(order)
    x, lanes = _places(order, rows)
    heights = [max(block.high for block in order if rows[block] == r) for r in range(max(rows.values()) + 1)]
    tops = [4 + sum(heights[:r]) + GAP * r for r in range(len(heights))]

    def edge(read: Block, block: Block) -> str:
        """Return the line from a box to one that reads it, beside the boxes of the rows between."""
        at = x[read, rows[read]]
        path = f"M{at:.0f},{tops[rows[read]] + read.high}"
        for row in range(rows[read] + 1, rows[block] + 1):
            to, top = x[block if row == rows[block] else read, row], tops[row]
            middle = top - GAP / 2
            path += f" L{at:.0f},{top - GAP} C{at:.0f},{middle:.0f} {to:.0f},{middle:.0f} {to:.0f},{top}"
            at = to
            if row < rows[block]:
                path += f" L{at:.0f},{top + heights[row]}"
        return f'<path d="{path}"/>'

    boxes = [_box(b, x[b, rows[b]], tops[rows[b]], lanes[rows[b]], guesses) for b in order]
    edges = [edge(read, block) for block in order for read in block.reads]
    return (
        f'<svg class="fer-diagram" viewBox="0 0 {WIDTH} {tops[-1] + heights[-1] + 4}" width="{WIDTH}" '
        f'role="group" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(edges)}{''.join(boxes)}</svg>"
    )


def _rows(order: Sequence[Block]) -> dict[Block, int]:
    """Return the row of each box: as far down as what reads it allows."""
    above: dict[Block, int] = {}
    for block in order:
        above[block] = 1 + max((above[read] for read in block.reads), default=-1)
    last, found = max(above.values()), {}
    for block in reversed(order):
        found[block] = min((found[r] - 1 for r in order if block in r.reads), default=last)
    return found


Middles = dict[tuple[Block, int], float]  # of each box in its row, and of what passes a row to a lower one


def _places(order: Sequence[Block], rows: Mapping[Block, int]) -> tuple[Middles, dict[int, float]]:
    """Return all middles, and the room of a box by row."""
    x: Middles = {}
    room: dict[int, float] = {}
    for row in range(max(rows.values()) + 1):
        own = [block for block in order if rows[block] == row]
        last = {b: max((rows[r] for r in order if b in r.reads), default=row) for b in order}
        passing = [b for b in order if rows[b] < row < last[b]]

        def wish(block: Block, row: int = row) -> float:
            above = [block] if rows[block] < row else block.reads
            known = [x[b, row - 1] for b in above if (b, row - 1) in x]
            return sum(known) / len(known) if known else WIDTH * (order.index(block) + 0.5) / len(order)

        everyone = sorted([*own, *passing], key=wish)
        weights = [1.0 if block in own else 0.2 for block in everyone]
        unit, left = WIDTH / sum(weights), 0.0
        for block, weight in zip(everyone, weights, strict=True):
            x[block, row] = left + unit * weight / 2
            left += unit * weight
        room[row] = unit
    return x, room


def _box(block: Block, middle: float, top: int, room: float, guesses: Sequence[Mapping[str, str]]) -> str:
    """Return a box with its lines; dashed, and a link, where something in it is guessed."""
    wide = min(190.0, room - 8)
    names = [block.name, *(name for name, _, _ in block.layers)]
    mine = [g for g in guesses if any(search(g["layers"], name) for name in names if name)]
    css = "guessed" if mine else "layers" if block.layers else "input"
    text = "".join(
        f'<text x="{middle:.0f}" y="{top + EDGE + LINE * k + 11}">{escape(line)}</text>'
        for k, line in enumerate(block.lines())
    )
    about = f"<title>Guessed: {escape(' '.join(g['problem'] for g in mine))}</title>" if mine else ""
    place = f'x="{middle - wide / 2:.0f}" y="{top}" width="{wide:.0f}" height="{block.high}"'
    drawn = f'<g class="{css}"><rect {place} rx="5">{about}</rect>{text}</g>'
    return f'<a href="{escape(mine[0]["href"])}">{drawn}</a>' if mine else drawn

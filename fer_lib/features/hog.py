"""Histograms of oriented gradients, for whole batches on their device (paper ``multimodal``, Sect. 3.2).

:func:`hog` agrees with ``skimage.feature.hog`` to 1e-5 on uint8 images. The paper gives no cell, block
or number of orientations: :data:`LAYOUTS` holds the readings (ambiguity ``hog_descriptor``).
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor

from fer_lib.errors import one_of

CHUNK = 64  # images at once on a CPU: their gradients stay in its cache
EPSILON = 1e-5
VOTE = 2.0**24  # on a GPU votes are counted in these parts of a grey level


def describe(images: Tensor, layout: str = "standard") -> Tensor:
    """Return the descriptors ``(B, L)`` float32 of images ``(B, H, W)`` uint8, or float in 0..255.

    ``layout`` is ``"standard"`` (9 orientations, cells of 8 pixels, blocks of 2 x 2 cells: 900 values for
    48 x 48 pixels), ``"coarse"`` (8 orientations, cells of 16 pixels, each its own block: 72) or ``"fhog"``
    (:func:`fhog`: 496).
    """
    method = LAYOUTS[one_of(layout, LAYOUTS, "hog layout")]
    chunk = CHUNK if images.device.type == "cpu" else 8192
    starts = range(0, max(1, len(images)), chunk)
    with torch.no_grad():
        return torch.cat([method(images[start : start + chunk]).flatten(1) for start in starts])


@cache
def length(layout: str = "standard", size: int = 48) -> int:
    """Return the length of a layout's descriptor for square images of ``size`` pixels."""
    return describe(torch.zeros(1, size, size), layout).shape[1]


def hog(images: Tensor, orientations: int = 9, cell: int = 8, block: int = 2) -> Tensor:
    """Return block-normalised histograms of gradient directions (Dalal and Triggs 2005).

    Gradients of images ``(B, H, W)`` are central differences, zero on the border. Each pixel votes with its
    magnitude for one of ``orientations`` directions in 0..180 degrees; cells (``cell`` pixels each way) are
    averaged, and overlapping blocks (``block`` cells each way) normalised by L2-Hys: unit length, clipped at
    0.2, unit length. The result is ``(B, L)`` float32, in the order of block rows, block columns, cell rows,
    cell columns and orientations.
    """

    def unit(vectors: Tensor) -> Tensor:
        return vectors / (vectors.square().sum(-1, keepdim=True) + EPSILON**2).sqrt_()

    cells = histograms(images, orientations, cell)  # (B, R, C, O)
    blocks = cells.unfold(1, block, 1).unfold(2, block, 1).permute(0, 1, 2, 4, 5, 3).flatten(3)
    return unit(unit(blocks).clamp_max(0.2)).flatten(1)  # of (B, R', C', block * block * O)


def histograms(images: Tensor, orientations: int = 9, cell: int = 8) -> Tensor:
    """Return the mean vote of each cell for each direction, ``(B, rows, columns, orientations)`` float32."""
    dx, dy = _gradients(images)
    rows, columns = images.shape[1] // cell, images.shape[2] // cell
    dx, dy = (d[:, : rows * cell, : columns * cell] for d in (dx, dy))
    # Directions -180..180 degrees fall into 2 O + 1 bins, folded below; a direction on a boundary
    # belongs to the upper bin, which the small offset defends against rounding.
    bins = torch.atan2(dy, dx).mul_(orientations / math.pi).add_(orientations + 1e-6).floor_()
    per_cell = 2 * orientations + 1
    row, column = (torch.arange(n * cell, device=images.device) // cell for n in (rows, columns))
    bins += (row[:, None] * columns + column).float() * per_cell
    votes = dx.square_().addcmul_(dy, dy).sqrt_()
    if votes.is_cuda:  # whole numbers add up to the same sum in whatever order a GPU takes them
        votes = votes.mul_(VOTE).long()
    full = votes.new_zeros(len(images), rows * columns * per_cell)
    full.scatter_add_(1, bins.long().flatten(1), votes.flatten(1))
    full = full.view(len(images), rows, columns, per_cell)
    full = full.float() / VOTE if votes.is_cuda else full
    folded = full[..., :orientations] + full[..., orientations:-1]
    folded[..., 0] += full[..., -1]  # 180 degrees is 0 degrees
    return folded / (cell * cell)


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Return central differences along x and y, ``(B, H, W)`` float32, zero on the border across."""
    values = images.float()
    dx, dy = torch.zeros_like(values), torch.zeros_like(values)
    torch.sub(values[:, :, 2:], values[:, :, :-2], out=dx[:, :, 1:-1])
    torch.sub(values[:, 2:], values[:, :-2], out=dy[:, 1:-1])
    return dx, dy


def fhog(images: Tensor, cell: int = 8) -> Tensor:
    """Return the 31 planes of Felzenszwalb et al. (2010), the HOG that dlib computes.

    18 directions with sign, 9 without, and 4 of texture; pixels vote bilinearly for the cells around
    them; every cell is normalised by the energies of the four blocks that it belongs to, and the outer
    ring of cells serves as neighbours only. The result is ``(B, rows - 2, columns - 2, 31)`` float32:
    4 x 4 x 31 for 48 x 48 pixels and cells of 8.
    """
    dx, dy = _gradients(images)
    # Pixels on the border do not vote.
    dx[:, :: dx.shape[1] - 1], dy[:, :, :: dy.shape[2] - 1] = 0, 0
    # The nearest direction; of two equally near ones, the lower.
    best = (torch.atan2(dy, dx) * (9 / math.pi) - (0.5 + 1e-6)).ceil_().remainder_(18).long()
    votes = dx.new_zeros(len(dx), 18, *dx.shape[1:]).scatter_(1, best[:, None], torch.hypot(dx, dy)[:, None])
    spread = []  # bilinear weights (pixels, cells) of every pixel for the cells around it
    for pixels in images.shape[1:]:
        centres = (torch.arange(pixels // cell) + 0.5) * cell - 0.5
        away = (torch.arange(pixels)[:, None] - centres).abs() / cell
        spread.append((1 - away).clamp_min(0).to(images.device))
    down, across = spread
    cells = (down.T @ (votes @ across)).permute(0, 2, 3, 1)  # (B, R, C, 18)
    unsigned = cells[..., :9] + cells[..., 9:]
    energy = unsigned.square().sum(-1)
    blocks = energy.unfold(1, 2, 1).unfold(2, 2, 1).sum((3, 4))  # (B, R - 1, C - 1)
    scale = (blocks + 1e-4).rsqrt()
    corners = torch.stack(
        [scale[:, i : i - 1 or None, j : j - 1 or None] for i in (0, 1) for j in (0, 1)], -1
    )
    signed = (cells[:, 1:-1, 1:-1, :, None] * corners.unsqueeze(3)).clamp_max(0.2)  # (B, r, c, 18, 4)
    plain = (unsigned[:, 1:-1, 1:-1, :, None] * corners.unsqueeze(3)).clamp_max(0.2)
    return torch.cat([signed.sum(-1) / 2, plain.sum(-1) / 2, signed.sum(-2) * 0.2357], dim=-1)


def render(images: Tensor, orientations: int = 9, cell: int = 8) -> Tensor:
    """Draw a line along each direction's edge in every cell, as bright as its vote: ``(B, H, W)`` float32."""
    strokes = torch.zeros(orientations, cell, cell)
    reach = max(cell // 2 - 1, 0)
    for direction, square in enumerate(strokes):  # a line across the gradient
        middle = math.pi * (direction + 0.5) / orientations
        down, across = reach * math.cos(middle), reach * math.sin(middle)
        ends = [[cell // 2 - down, cell // 2 + across], [cell // 2 + down, cell // 2 - across]]
        start, stop = torch.tensor(ends, dtype=torch.float64).trunc()
        steps = int((stop - start).abs().max())
        points = start + (stop - start) * torch.linspace(0, 1, steps + 1, dtype=torch.float64)[:, None]
        row, column = (points + 0.5).floor().long().T
        square[row, column] = 1
    cells = histograms(images, orientations, cell)
    drawn = torch.einsum("brco,oij->bricj", cells, strokes.to(images.device))
    return drawn.reshape(len(images), cells.shape[1] * cell, cells.shape[2] * cell)


LAYOUTS = {
    "standard": hog,
    "coarse": lambda images: hog(images, orientations=8, cell=16, block=1),
    "fhog": fhog,
}

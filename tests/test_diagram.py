"""A diagram shows the network that there is: its layers in boxes, joined as values flow."""

import torch
from torch import nn

from fer_lib.show.plots.diagram import blocks, diagram


class Forked(nn.Module):
    """A convolution whose map goes two ways, one of them past two rows of the other."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
        self.pool, self.deep = nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU())
        self.dense, self.beside = nn.Sequential(nn.Linear(128, 6), nn.Dropout(0.5)), nn.Linear(5, 6)
        self.out = nn.Linear(8 * 16 + 6 + 6 + 4 * 64, 3)

    def forward(self, x, words):
        early = self.conv(x)
        deep = self.deep(self.pool(early)).flatten(1)
        return self.out(torch.cat([deep, self.dense(deep), self.beside(words), early.flatten(1)], dim=1))


INPUTS = {"face": torch.zeros(1, 1, 8, 8), "words": torch.zeros(1, 5)}


def test_edges_are_where_values_flow():
    found = {block.lines()[0]: block for block in blocks(Forked(), INPUTS)}
    reads = {name: sorted(read.lines()[0] for read in block.reads) for name, block in found.items()}
    assert reads == {
        "face": [],
        "words": [],
        "2 × conv 3×3": ["face"],
        "max pool": ["2 × conv 3×3"],  # parted from the convolutions, whose map the last layer reads too
        "conv 3×3": ["max pool"],
        "dense 6": ["conv 3×3"] if found["dense 6"].layers[0][0] == "dense.0" else ["words"],
        "dense 3": sorted(["conv 3×3", "dense 6", "dense 6", "2 × conv 3×3"]),
    }


def test_a_box_says_its_layers_and_the_shape_that_they_leave():
    lines = [block.lines() for block in blocks(Forked(), INPUTS)]
    assert ["2 × conv 3×3", "4×8×8"] in lines
    assert ["face", "1×8×8"] in lines
    assert ["words", "5 values"] in lines
    assert ["dense 3"] in lines


def test_the_network_is_left_as_it_was():
    model = Forked()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    blocks(model, INPUTS)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_guess_is_dashed_and_linked():
    guess = {"layers": r"^deep\.0", "href": "register.html#deep", "problem": "How <deep>?"}
    drawn = diagram(Forked(), INPUTS, "A network", [guess])
    assert drawn.count('class="guessed"') == 1
    assert '<a href="register.html#deep">' in drawn
    assert "How &lt;deep&gt;?" in drawn
    assert 'class="guessed"' not in diagram(Forked(), INPUTS, "A network")


def test_every_box_lies_within_the_drawing():
    from bs4 import BeautifulSoup

    drawn = BeautifulSoup(diagram(Forked(), INPUTS, "A network"), "html.parser").svg
    _, _, wide, high = map(float, drawn["viewbox"].split())
    boxes = [[float(box[key]) for key in ("x", "y", "width", "height")] for box in drawn.select("rect")]
    assert len(boxes) == len(blocks(Forked(), INPUTS))
    assert all(min(x, y) >= 0 and x + w <= wide and y + h <= high for x, y, w, h in boxes)
    for k, (x, y, w, h) in enumerate(boxes):
        assert not any(
            x < x2 + w2 and x2 < x + w and y < y2 + h2 and y2 < y + h for x2, y2, w2, h2 in boxes[:k]
        )

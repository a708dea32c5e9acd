"""Grad-CAM finds a known place and leaves the network as it was."""

import numpy as np
import pytest

from fer_lib.errors import FerError
from fer_lib.learn import explain

torch = pytest.importorskip("torch")
SIZE = 16


class Corners(torch.nn.Module):
    """Class 0 answers to bright pixels, class 1 to dark ones; a second input shifts the scores."""

    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 2, 3, padding=1)
        self.active = torch.nn.ReLU(inplace=True)
        self.drop = torch.nn.Dropout(0.5)
        self.flat = torch.nn.Linear(2, 2)
        self.unused = torch.nn.Conv2d(1, 1, 1)
        kernel = torch.zeros(2, 1, 3, 3)
        kernel[0, 0, 1, 1], kernel[1, 0, 1, 1] = 1, -1
        with torch.no_grad():
            self.convolution.weight.copy_(kernel)
            self.convolution.bias.zero_()
            self.flat.weight.copy_(torch.eye(2))
            self.flat.bias.zero_()

    def forward(self, images, histogram=None):
        maps = self.drop(self.active(self.convolution(images)))  # (B, 2, H, W)
        scores = self.flat(maps.mean((2, 3)))
        return scores if histogram is None else scores + histogram


def spots():
    """Image with a bright spot top left and a dark one bottom right."""
    images = torch.zeros(2, 1, SIZE, SIZE)
    images[:, :, 2:5, 3:6] = 1
    images[:, :, 10:13, 9:12] = -1
    return images


def centre(cam):
    weights = cam / cam.sum()
    return tuple(float((axis * weights).sum()) for axis in np.indices(cam.shape))


@pytest.mark.parametrize("layer", ["convolution", "active"])
def test_grad_cam_finds_the_evidence_of_each_class(layer):
    cams = explain.grad_cam(Corners(), (spots(),), layer, targets=[0, 1])
    assert cams.shape == (2, SIZE, SIZE)
    assert cams.dtype == np.float32
    assert cams.min() == 0
    assert cams.max() == pytest.approx(1, abs=1e-5)
    assert centre(cams[0]) == pytest.approx((3, 4), abs=0.1)
    if layer == "active":  # before the ReLU the other class's evidence cancels
        assert centre(cams[1]) == pytest.approx((11, 10), abs=0.1)


def test_grad_cam_passes_further_inputs_and_explains_the_prediction():
    model = Corners()
    histogram = torch.tensor([[5.0, 0.0], [0.0, 5.0]])
    cams = explain.grad_cam(model, (spots(), histogram), model.active)
    assert centre(cams[0])[0] < SIZE / 2 < centre(cams[1])[0]


def test_grad_cam_leaves_the_model_as_it_was():
    model = Corners().train()
    model.drop.eval()
    model.convolution.weight.requires_grad_(False)
    model.flat.bias.grad = torch.ones(2)
    images = spots()
    with torch.no_grad():
        explain.grad_cam(model, (images,), "convolution")
    assert model.training
    assert not model.drop.training
    assert not model.convolution.weight.requires_grad
    assert model.flat.weight.requires_grad
    assert model.flat.weight.grad is None
    assert model.flat.bias.grad.tolist() == [1, 1]
    assert not images.requires_grad
    assert not model.convolution._forward_hooks


@pytest.mark.parametrize(
    "change, message",
    [
        ({"layer": "convolutoin"}, "Did you mean 'convolution'"),
        ({"layer": torch.nn.Conv2d(1, 1, 1)}, "not part of"),
        ({"layer": "unused"}, "no gradient"),
        ({"layer": "flat"}, r"gives \(2, 2\)"),
        ({"inputs": spots()}, "tuple"),
        ({"inputs": (spots()[0],)}, "B, channels"),
        ({"targets": [0, 1, 0]}, "one per image"),
        ({"targets": [0.5, 1.0]}, "class code"),
    ],
)
def test_grad_cam_mistakes_are_named(change, message):
    arguments = {"inputs": (spots(),), "layer": "convolution", **change}
    with pytest.raises(FerError, match=message):
        explain.grad_cam(Corners(), **arguments)

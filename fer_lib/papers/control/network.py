"""mini-Xception, the positive control: small, public, and of known accuracy on FER2013.

O. Arriaga, M. Valdenegro-Toro and P. Plöger, *Real-time Convolutional Neural Networks for Emotion and Gender
Classification* (arXiv:1710.07557), Sect. 3 and Fig. 3. What the paper leaves open is as in their public
code.
"""

from __future__ import annotations

from torch import Tensor, nn

STEM, BLOCKS = 8, (16, 32, 64, 128)  # filters
L2 = 0.01  # of the two convolutions of the stem; the separable ones have none in the public code


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """Return a depth-wise 3x3 and a point-wise convolution with batch normalisation, without biases."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        norm(outputs),
    )


def norm(channels: int) -> nn.BatchNorm2d:
    """Return batch normalisation as Keras has it by default: momentum 0.99, epsilon 0.001."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Two separable convolutions and a pool, added to a 1x1 convolution of every second pixel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.beside = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), norm(outputs))
        self.through = nn.Sequential(
            separable(inputs, outputs),
            nn.ReLU(),
            separable(outputs, outputs),
            nn.MaxPool2d(3, stride=2, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return maps ``(B, outputs, ceil(H / 2), ceil(W / 2))``."""
        # To take the pixels first is a stride of two, with which 1x1 convolutions that are laid out channels
        # last crash on some processors.
        return self.through(x) + self.beside(x[:, :, ::2, ::2])


class MiniXception(nn.Module):
    """The network of Fig. 3, on grey images of 64 x 64 pixels; 58,423 parameters with seven outputs."""

    def __init__(self, n_classes: int = 7) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, STEM, 3, bias=False), norm(STEM), nn.ReLU(),
            nn.Conv2d(STEM, STEM, 3, bias=False), norm(STEM), nn.ReLU(),
        )  # fmt: skip
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip((STEM, *BLOCKS), BLOCKS, strict=False)))
        self.classify = nn.Conv2d(BLOCKS[-1], n_classes, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_uniform_(layer.weight)

    @property
    def l2_penalties(self) -> dict[str, float]:
        """L2 factors by parameter name."""
        return {"stem.0.weight": L2, "stem.3.weight": L2}

    @property
    def last_convolution(self) -> nn.Module:
        """The last convolution, where Grad-CAM looks: a map for each expression."""
        return self.classify

    def forward(self, images: Tensor) -> Tensor:
        """Return logits ``(B, n_classes)`` for images ``(B, 1, 64, 64)`` float."""
        x = self.stem(images)  # (B, 8, 60, 60)
        x = self.blocks(x)  # (B, 128, 4, 4)
        return self.classify(x).mean((2, 3))

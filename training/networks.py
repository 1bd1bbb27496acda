"""The two networks: a centre-map detector and a CTC reader, of dense 3x3 convolutions.

Dense convolutions, because in bfloat16 and channels_last they train several times faster a
multiply-add on a CPU than depthwise ones, and int8 makes them cheap to run.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.regions import CODES
from training.shapes import BLOCK, CLASSES, MIDDLE, SPREAD

LINES = 2  # that a plate may have
# Channels from the first convolution on. The wide ones are never shipped: they teach the others.
DETECTORS = {"small": (16, 32, 48, 72, 40), "shipped": (24, 40, 64, 96, 48), "wide": (48, 80, 128, 192, 96)}
READERS = {"small": (16, 48, 80, 112), "shipped": (24, 64, 96, 128), "wide": (48, 128, 192, 256)}
UNEVEN = 0.25  # how differently what comes after sees two copies of a channel
RARE = -4.0  # starting logit of a centre: most cells hold none


def block(inputs: int, outputs: int, size: int = 3, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; keeps the size at stride 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def widened(weights: dict[str, Tensor], wider: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the shapes of a wider network of the same layers, so that it says what the narrower one says.

    A channel becomes several alike, and what comes after takes a share of each (Chen, Goodfellow and Shlens, 2016,
    "Net2Net"): shares that add up to 1 and differ, for else the copies would learn the same for ever.
    """
    return {
        name: _widened(old, wider[name]) if name in wider and old.shape != wider[name].shape else old
        for name, old in weights.items()
    }


def _widened(old: Tensor, wider: Tensor) -> Tensor:
    if old.dim() != wider.dim() or any(new < had for new, had in zip(wider.shape, old.shape, strict=True)):
        return old  # another network's: whoever loads it says so
    out = old[torch.arange(len(wider)) % len(old)]
    if old.dim() == 1 or old.shape[1] == wider.shape[1]:
        return out
    of = torch.arange(wider.shape[1]) % old.shape[1]
    out = out[:, of]
    share = 1 + UNEVEN * torch.randn_like(out)
    whole = torch.zeros_like(out[:, : old.shape[1]]).index_add_(1, of, share)
    return out * share / whole[:, of]


class Residual(nn.Module):
    """Two 3x3 convolutions around a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = block(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[n,c,h,w] to the same."""
        return functional.relu(x + self.second(self.first(x)))


class Detector(nn.Module):
    """Gray [n,1,H,W] in 0..1 to [n,5,H/8,W/8]: centre logit, dx, dy, log(w/16 px), log(h/8 px).

    It works on blocks of 4x4 pixels as one cell of 16 channels.
    """

    def __init__(self, channels: tuple[int, int, int, int, int] = DETECTORS["shipped"]) -> None:
        super().__init__()
        a, b, c, d, mixed = channels
        self.stem = block(BLOCK * BLOCK, a)
        self.eighth = nn.Sequential(block(a, b, 3, 2), Residual(b))
        self.sixteenth = nn.Sequential(block(b, c, 3, 2), Residual(c), Residual(c))
        self.thirtysecond = nn.Sequential(block(c, d, 3, 2), Residual(d), Residual(d))
        self.from_thirtysecond = block(d, mixed, 1)
        self.from_sixteenth = block(c, mixed, 1)
        self.from_eighth = block(b, mixed, 1)
        self.mix_sixteenth = block(mixed, mixed)
        self.mix_eighth = block(mixed, mixed)
        self.out = nn.Conv2d(mixed, 5, 1)
        nn.init.constant_(cast("Tensor", self.out.bias)[:1], RARE)

    def forward(self, image: Tensor) -> Tensor:
        """[n,1,H,W] with H and W multiples of 32 to the map."""
        return self.of_blocks(functional.pixel_unshuffle((image - MIDDLE) * SPREAD, BLOCK))

    def of_blocks(self, blocks: Tensor) -> Tensor:
        """[n,16,H/4,W/4], centred and scaled, to the map."""
        eighth = self.eighth(self.stem(blocks))
        sixteenth = self.sixteenth(eighth)
        deep = self.from_thirtysecond(self.thirtysecond(sixteenth))
        deep = self.from_sixteenth(sixteenth) + functional.interpolate(deep, scale_factor=2.0)
        deep = self.mix_sixteenth(deep)
        deep = self.from_eighth(eighth) + functional.interpolate(deep, scale_factor=2.0)
        return cast("Tensor", self.out(self.mix_eighth(deep)))


class Reader(nn.Module):
    """Gray plates [n,1,64,160] in 0..1 to logits of characters [n,80,37] and of regions [n,61].

    Of the characters, the first 40 steps are what stands in the upper line, from left to right, the others the
    lower line: one sequence for CTC. A plate of one line is told in either of them.
    """

    def __init__(self, channels: tuple[int, int, int, int] = READERS["shipped"]) -> None:
        super().__init__()
        a, b, c, d = channels
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            block(4, a), Residual(a),
            block(a, b, 3, 2), Residual(b), Residual(b),
            block(b, c, 3, (2, 1)), Residual(c),
            block(c, d, 3, (2, 1)), Residual(d), Residual(d),
        )  # fmt: skip
        self.collapse = nn.Sequential(
            nn.Conv2d(d, LINES * d, (4, 1), bias=False), nn.BatchNorm2d(LINES * d), nn.ReLU(inplace=True)
        )
        self.along = nn.Sequential(
            nn.Conv2d(d, d, (1, 5), padding=(0, 2), bias=False),
            nn.BatchNorm2d(d),
            nn.ReLU(inplace=True),
            nn.Conv2d(d, d, (1, 5), padding=(0, 2), bias=False),
            nn.BatchNorm2d(d),
            nn.ReLU(inplace=True),
            nn.Dropout(0.1),
        )
        self.out = nn.Linear(d, CLASSES)
        self.region = nn.Sequential(
            block(d, d, 3, 2), nn.AvgPool2d((1, 5)), nn.Flatten(),
            nn.Dropout(0.2), nn.Linear(2 * 4 * d, len(CODES)),
        )  # fmt: skip

    def forward(self, plate: Tensor) -> tuple[Tensor, Tensor]:
        """Contrast is evened out first: dark and hazy plates look alike from here on."""
        mean = plate.mean(dim=(2, 3), keepdim=True)
        spread = ((plate - mean) ** 2).mean(dim=(2, 3), keepdim=True)
        even = torch.clamp((plate - mean) / torch.sqrt(spread + 4e-4), -3.0, 3.0)
        seen = self.body(even)
        columns = self.collapse(seen)
        lines = columns.reshape(-1, self.out.in_features, LINES, columns.shape[-1])
        lines = lines + self.along(lines)
        return self.out(lines.flatten(2).transpose(1, 2)), self.region(seen)

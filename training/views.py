"""More views of crops that are made already, on the device: one that a processor made is worth several there."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

PARTS = 4  # of a batch are worsened alike where that is much cheaper than one by one
MOVED, TURNED, STRETCHED, SHEARED = 0.02, 0.04, 0.05, 0.08
BLURRED, COARSE, COMPRESSED = 0.3, 0.5, 0.4  # chances
WIDTHS_PX, HEIGHTS_PX = (56, 150), (24, 60)  # of what is coarse
# Of a block of 8x8 pixels: how coarsely JPEG keeps each frequency (ITU-T T.81, annex K.1), here by its distance.
STEPS = torch.tensor([[(16 + 10 * (k + m)) / 255 for m in range(8)] for k in range(8)])
COSINES = torch.tensor(
    [
        [math.cos(math.pi * (2 * x + 1) * k / 16) * (math.sqrt(0.125) if k == 0 else 0.5) for x in range(8)]
        for k in range(8)
    ]
)


def views(crops: Tensor, count: int) -> Tensor:
    """Crops [n,1,h,w] of gray 0..1 as they are, then count - 1 times otherwise: [count * n,1,h,w]."""
    return torch.cat([crops, *(_view(crops) for _ in range(count - 1))])


def _view(crops: Tensor) -> Tensor:
    out = torch.cat([_worsened(part) for part in _moved(crops).chunk(PARTS)])
    noise = _each(out, 0, 0.12) * out.std((2, 3), keepdim=True)
    return _lit(out + torch.randn_like(out) * noise).clamp(0, 1)


def _each(crops: Tensor, low: float, high: float) -> Tensor:
    """A number for each crop, [n,1,1,1]."""
    return torch.empty(len(crops), 1, 1, 1, device=crops.device).uniform_(low, high)


def _moved(crops: Tensor) -> Tensor:
    n = len(crops)
    ones = [torch.empty(n, device=crops.device).uniform_(-1, 1) for _ in range(6)]
    wide, tall, shear, turn, x, y = ones
    matrix = torch.stack(
        [
            1 + STRETCHED * wide, SHEARED * shear + TURNED * turn, 2 * MOVED * x,
            -TURNED * turn, 1 + STRETCHED * tall, 2 * MOVED * y,
        ], 1
    ).view(n, 2, 3)  # fmt: skip
    grid = functional.affine_grid(matrix, list(crops.shape), align_corners=False)
    return functional.grid_sample(crops, grid, padding_mode="border", align_corners=False)


def _worsened(part: Tensor) -> Tensor:
    """Out of focus, from further away, compressed: each at times."""
    size = part.shape[2:]
    blur, coarse, compressed = (torch.rand(3) < torch.tensor([BLURRED, COARSE, COMPRESSED])).tolist()
    if blur:
        kernel = torch.exp(-0.5 * (torch.arange(-4, 5) / float(torch.empty(1).uniform_(0.6, 2.2))) ** 2)
        kernel = (kernel / kernel.sum()).to(part)
        part = functional.conv2d(part, kernel.view(1, 1, 1, -1), padding=(0, 4))
        part = functional.conv2d(part, kernel.view(1, 1, -1, 1), padding=(4, 0))
    if coarse:
        to = [int(torch.randint(low, high, (1,))) for low, high in (HEIGHTS_PX, WIDTHS_PX)]
        part = functional.interpolate(part, to, mode="bilinear", antialias=True)
    if compressed:
        part = _compressed(part)
    return functional.interpolate(part, size, mode="bilinear") if coarse else part


def _compressed(part: Tensor) -> Tensor:
    """What is left of each block of 8x8 pixels when its frequencies are kept coarsely."""
    n, _, h, w = part.shape
    padded = functional.pad(part, (0, -w % 8, 0, -h % 8), mode="replicate")
    rows, columns = (side // 8 for side in padded.shape[2:])
    blocks = padded.view(n, rows, 8, columns, 8).transpose(2, 3)
    cosines, steps = COSINES.to(part), STEPS.to(part) * _each(part, 0.2, 1.4)[..., None]
    kept = torch.round(cosines @ blocks @ cosines.T / steps) * steps
    return (cosines.T @ kept @ cosines).transpose(2, 3).reshape(padded.shape)[..., :h, :w]


def _lit(crops: Tensor) -> Tensor:
    """Other contrast, other light, a slope of it."""
    dark = _each(crops, 0, 1) < 0.08
    gain = torch.where(dark, _each(crops, 0.1, 0.4), _each(crops, 0.6, 1.3))
    along = torch.linspace(-1, 1, crops.shape[3], device=crops.device)
    down = torch.linspace(-1, 1, crops.shape[2], device=crops.device)[:, None]
    slope = 1 + _each(crops, -0.4, 0.4) * along + _each(crops, -0.4, 0.4) * down
    return ((crops - 0.5) * gain + 0.5 * torch.where(dark, gain, 1.0) + _each(crops, -0.12, 0.12)) * slope

"""Our reader as EasyOCR's custom recognizer; written by training/easyocr.py."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = 37
LINES = 2
READERS = {'small': (16, 48, 80, 112), 'shipped': (24, 64, 96, 128), 'wide': (48, 128, 192, 256)}
CODES = ('us-al', 'us-ak', 'us-az', 'us-ar', 'us-ca', 'us-co', 'us-ct', 'us-dc', 'us-de', 'us-fl', 'us-ga', 'us-hi', 'us-ia', 'us-id', 'us-il', 'us-in', 'us-ks', 'us-ky', 'us-la', 'us-ma', 'us-md', 'us-me', 'us-mi', 'us-mn', 'us-mo', 'us-ms', 'us-mt', 'us-nc', 'us-nd', 'us-ne', 'us-nh', 'us-nj', 'us-nm', 'us-nv', 'us-ny', 'us-oh', 'us-ok', 'us-or', 'us-pa', 'us-ri', 'us-sc', 'us-sd', 'us-tn', 'us-tx', 'us-ut', 'us-va', 'us-vt', 'us-wa', 'us-wi', 'us-wv', 'us-wy', 'au', 'br', 'ca', 'de', 'gb', 'in', 'pk', 'ro', 'other', 'none')


def block(inputs: int, outputs: int, size: int = 3, stride: int | tuple[int, int] = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU; keeps the size at stride 1."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions around a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = block(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[n,c,h,w] to the same."""
        return functional.relu(x + self.second(self.first(x)))


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


class Model(Reader):
    """As EasyOCR calls it: plates in -1..1, made wider on the right by repeating their border."""

    def __init__(self, num_class: int) -> None:
        if num_class != CLASSES:
            raise ValueError(f"plate.py tells {CLASSES - 1} characters, not {num_class - 1}")
        super().__init__()

    def forward(self, plate: Tensor, _text: Tensor | None = None) -> Tensor:
        """[n,1,64,w] to logits of characters [n,80,37]."""
        return super().forward(plate[..., :160] * 0.5 + 0.5)[0]

"""Our reader in the form that EasyOCR takes as a custom recognizer: plate.py, plate.yaml, plate.pth."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import torch

from training import networks
from training.data import CHARSET
from training.regions import CODES
from training.shapes import CLASSES, READER_INPUT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

YAML = f"""# Written by training/export.py: how EasyOCR calls plate.py.
imgH: {READER_INPUT[0]}
lang_list: [en]
character_list: "{CHARSET}"
network_params: {{}}
"""
HEAD = '''"""Our reader as EasyOCR's custom recognizer; written by training/easyocr.py."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

'''
TAIL = f'''class Model(Reader):
    """As EasyOCR calls it: plates in -1..1, made wider on the right by repeating their border."""

    def __init__(self, num_class: int) -> None:
        if num_class != CLASSES:
            raise ValueError(f"plate.py tells {{CLASSES - 1}} characters, not {{num_class - 1}}")
        super().__init__()

    def forward(self, plate: Tensor, _text: Tensor | None = None) -> Tensor:
        """[n,1,{READER_INPUT[0]},w] to logits of characters [n,80,37]."""
        return super().forward(plate[..., :{READER_INPUT[1]}] * 0.5 + 0.5)[0]
'''


def write(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the three files."""
    folder.mkdir()
    (folder / "plate.py").write_text(source(), encoding="utf-8")
    (folder / "plate.yaml").write_text(YAML, encoding="utf-8")
    # EasyOCR takes the weights of a network that was trained on several GPUs: their names begin so.
    torch.save({f"module.{name}": value for name, value in weights.items()}, folder / "plate.pth")


def source() -> str:
    """A module with our network that needs nothing of this project."""
    values = {"CLASSES": CLASSES, "LINES": networks.LINES, "READERS": networks.READERS, "CODES": CODES}
    constants = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    parts = (networks.block, networks.Residual, networks.Reader)
    return "\n\n\n".join([HEAD + constants, *(inspect.getsource(part).rstrip() for part in parts), TAIL])

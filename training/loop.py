"""The training loop both networks share: schedule, averaged weights, checkpoints that resume."""

from __future__ import annotations

import copy
import io
import logging
import math
import pickle
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from training.data import DataError
from training.files import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

log = logging.getLogger("training")

CHECKPOINT = "checkpoint.pt"
DECAY = 0.999
CLIP = 5.0
FLOOR = 0.005  # of the learning rate, at the end of the cosine


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train; seconds count training alone, over all of its runs."""

    seconds: float
    rate: float = 2e-3
    warmup_steps: int = 300
    save_every_s: float = 240.0
    log_every_steps: int = 100

    def rate_at(self, step: int, spent_s: float) -> float:
        """Warm up by steps, then a cosine by time."""
        done = min(1.0, spent_s / self.seconds)
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return self.rate * warm * (0.5 * (1 + math.cos(math.pi * done)) + FLOOR)


def half_precision(device: torch.device) -> torch.autocast:
    """Where the processor computes in bfloat16, let it: without such instructions it takes ten times as long."""
    has_it = device.type != "cpu" or torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001 - no public name
    return torch.autocast(device.type, torch.bfloat16, enabled=has_it)


class Loop:
    """Owns the network, its averaged copy, the optimizer and the checkpoint file."""

    def __init__(self, *, network: nn.Module, schedule: Schedule, folder: Path) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.network = network.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.averaged = copy.deepcopy(self.network).eval()
        self.schedule = schedule
        self.folder = folder
        self.optimizer = torch.optim.AdamW(self.network.parameters(), schedule.rate, weight_decay=2e-2)
        self.step = 0
        self.spent_s = 0.0

    def resume(self) -> bool:
        """Go on from the folder's checkpoint where there is one."""
        path = self.folder / CHECKPOINT
        if not path.is_file():
            return False
        state = load(path, self.device)
        try:
            fill(self.network, state["network"], path)
            fill(self.averaged, state["averaged"], path)
            self.optimizer.load_state_dict(state["optimizer"])
            self.step, self.spent_s = int(state["step"]), float(state["spent_s"])
        except (KeyError, ValueError) as error:
            message = f"{path}: is no checkpoint of this training"
            raise DataError(message) from error
        log.info("resumed at step %d after %.0f s", self.step, self.spent_s)
        return True

    def start_from(self, weights: Path) -> None:
        """Begin anew, but from finished weights."""
        for network in (self.network, self.averaged):
            load_weights(network, weights)

    def save(self) -> None:
        """Write the checkpoint in full, then put it in place of the last one."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
        }
        save_atomically(state, self.folder / CHECKPOINT)

    def run(
        self,
        loss_of_next: Callable[[nn.Module, torch.device], Tensor],
        measure: Callable[[nn.Module], str],
        after_step: Callable[[int], None] | None = None,
    ) -> None:
        """Train until the schedule's seconds are spent, saving as it goes and when it is interrupted."""
        self.save()  # what cannot be written is better known before the hours than after
        running, saved_s, logged = 0.0, self.spent_s, (time.monotonic(), self.step)
        while self.spent_s < self.schedule.seconds:
            began = time.monotonic()
            try:
                running += self._one(loss_of_next)
            except KeyboardInterrupt:
                self.save()
                log.info("interrupted at step %d: saved", self.step)
                raise
            if after_step is not None:
                after_step(self.step)
            self.spent_s += time.monotonic() - began
            if self.step % self.schedule.log_every_steps == 0:
                rate = (self.step - logged[1]) / max(1e-9, time.monotonic() - logged[0])
                mean = running / max(1, self.step - logged[1])
                log.info("step %d loss %.4f %.2f steps/s %.0f s", self.step, mean, rate, self.spent_s)
                running, logged = 0.0, (time.monotonic(), self.step)
            if self.spent_s - saved_s > self.schedule.save_every_s:
                self.save()
                saved_s = self.spent_s
                log.info("saved at step %d: %s", self.step, measure(self.averaged))
        self.save()
        log.info("done at step %d: %s", self.step, measure(self.averaged))

    def _one(self, loss_of_next: Callable[[nn.Module, torch.device], Tensor]) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.step, self.spent_s)
        loss = loss_of_next(self.network, self.device)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1
        average(self.averaged, self.network, min(DECAY, (1 + self.step) / (10 + self.step)))
        return float(loss.item())


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights a little towards the network's."""
    for old, new in zip(averaged.state_dict().values(), network.state_dict().values(), strict=True):
        if old.dtype.is_floating_point:
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def save_atomically(state: object, path: Path) -> None:
    """torch.save that leaves the old file or the new one, never half of one. Raises DataError."""
    saved = io.BytesIO()
    torch.save(state, saved)
    replace({path: saved.getvalue()})


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """What torch.save wrote of weights or of a checkpoint. Raises DataError."""
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise DataError(message) from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, KeyError) as error:
        message = f"{path}: is no file of weights that PyTorch has saved"
        raise DataError(message) from error
    if not isinstance(state, dict):
        message = f"{path}: holds no weights"
        raise DataError(message)
    return state


def fill(network: nn.Module, weights: dict[str, Any], path: Path) -> None:
    """Give a network the weights of a file. Raises DataError where they are another network's."""
    try:
        network.load_state_dict(weights)
    except (RuntimeError, AttributeError) as error:
        message = f"{path}: not the weights of a {type(network).__name__.lower()} as it is now"
        raise DataError(message) from error


def load_weights(network: nn.Module, path: Path) -> None:
    """Give a network the weights of a .pt file, or the averaged ones of a training's folder or checkpoint."""
    path = path / CHECKPOINT if path.is_dir() else path
    state = load(path)
    fill(network, state.get("averaged", state), path)

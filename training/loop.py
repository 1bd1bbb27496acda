"""The training loop both networks share: schedule, averaged weights, checkpoints that resume.

Networks of several sizes may learn together: each from the labels and from what averaged weights make of the same
pictures (Zhang et al., 2018, "Deep Mutual Learning"; averaged teachers: Tarvainen and Valpola, 2017).
"""

from __future__ import annotations

import copy
import io
import logging
import math
import pickle
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from training.data import DataError
from training.files import replace
from training.networks import widened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

log = logging.getLogger("training")

CHECKPOINT = "checkpoint.pt"
DECAY = 0.999
CLIP = 5.0
FLOOR = 0.005  # of the learning rate, at the end of the cosine
TEACHES_FROM = 0.3  # of the time, a network that began with nothing

Output = TypeVar("Output")


class Lesson(Protocol[Output]):
    """Pictures on the device, and what networks should make of them."""

    def see(self, network: nn.Module) -> Output:
        """The network's output."""

    def loss(self, output: Output) -> Tensor:
        """Of an output, by the labels."""

    def agreed(self, outputs: list[Output]) -> Output:
        """What several networks say together."""

    def distance(self, output: Output, agreed: Output) -> Tensor:
        """Of an output from what others agreed on; on the scale of the loss."""


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
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), schedule.rate, weight_decay=2e-2, fused=self.device.type == "cuda"
        )
        self.step = 0
        self.spent_s = 0.0
        self.began_with_weights = False

    @property
    def teaches(self) -> bool:
        """True once what it says is worth something to others."""
        return self.began_with_weights or self.spent_s > TEACHES_FROM * self.schedule.seconds

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
            self.began_with_weights = bool(state["began_with_weights"])
        except (KeyError, ValueError) as error:
            message = f"{path}: is no checkpoint of this training; give another --out, or remove it to begin anew"
            raise DataError(message) from error
        log.info("resumed at step %d after %.0f s", self.step, self.spent_s)
        return True

    def start_from(self, path: Path) -> None:
        """Begin anew, but from finished weights, a narrower network's too."""
        fill(self.network, widened(finished(path), self.network.state_dict()), path)
        self.averaged.load_state_dict(self.network.state_dict())
        self.began_with_weights = True

    def save(self) -> None:
        """Write the checkpoint in full, then put it in place of the last one."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "spent_s": self.spent_s,
            "began_with_weights": self.began_with_weights,
        }
        save_atomically(state, self.folder / CHECKPOINT)

    def learn(self, loss: Tensor) -> None:
        """One step of the optimizer."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(self.step, self.spent_s)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
        self.optimizer.step()
        self.step += 1
        average(self.averaged, self.network, min(DECAY, (1 + self.step) / (10 + self.step)))


class Pupils(Generic[Output]):
    """Networks that learn together from the same lessons, or one alone. The last of several teaches none."""

    def __init__(self, loops: Sequence[Loop], next_lesson: Callable[[torch.device], Lesson[Output]]) -> None:
        self._loops = loops
        self._next = next_lesson

    def run(self, measure: Callable[[nn.Module], str], after_step: Callable[[int], None] | None = None) -> None:
        """Train until the schedule's seconds are spent, saving as it goes and when it is interrupted."""
        torch.backends.cudnn.benchmark = True  # every step has the same shapes
        first = self._loops[0]
        schedule = first.schedule
        self._save()  # what cannot be written is better known before the hours than after
        losses = [torch.zeros((), device=first.device) for _ in self._loops]
        saved_s, logged = first.spent_s, (time.monotonic(), first.step)
        while first.spent_s < schedule.seconds:
            began = time.monotonic()
            try:
                losses = [before + now for before, now in zip(losses, self._step(), strict=True)]
            except KeyboardInterrupt:
                self._save()
                log.info("interrupted at step %d: saved", first.step)
                raise
            if after_step is not None:
                after_step(first.step)
            for loop in self._loops:
                loop.spent_s += time.monotonic() - began
            if first.step % schedule.log_every_steps == 0:
                steps = first.step - logged[1]
                rate = steps / max(1e-9, time.monotonic() - logged[0])
                means = " ".join(f"{float(one) / max(1, steps):.4f}" for one in losses)
                log.info("step %d loss %s %.2f steps/s %.0f s", first.step, means, rate, first.spent_s)
                losses = [torch.zeros_like(one) for one in losses]
                logged = (time.monotonic(), first.step)
            if first.spent_s - saved_s > schedule.save_every_s:
                self._save()
                saved_s = first.spent_s
                self._tell("saved", measure)
        self._save()
        self._tell("done", measure)

    def _step(self) -> list[Tensor]:
        """What the labels cost each network."""
        lesson = self._next(self._loops[0].device)
        teachers = [loop for loop in self._loops[:-1] if loop.teaches]
        agreed = None
        if teachers:
            with torch.no_grad():
                agreed = lesson.agreed([lesson.see(loop.averaged) for loop in teachers])
        losses = []
        for loop in self._loops:
            output = lesson.see(loop.network)
            loss = lesson.loss(output)
            loop.learn(loss if agreed is None else loss + lesson.distance(output, agreed))
            losses.append(loss.detach())
        return losses

    def _save(self) -> None:
        for loop in self._loops:
            loop.save()

    def _tell(self, what: str, measure: Callable[[nn.Module], str]) -> None:
        for loop in self._loops:
            log.info("%s at step %d: %s: %s", what, loop.step, loop.folder.name, measure(loop.averaged))


@torch.no_grad()
def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights a little towards the network's."""
    old, new = (list(one.state_dict().values()) for one in (averaged, network))
    moving = [k for k, one in enumerate(old) if one.dtype.is_floating_point]
    torch._foreach_lerp_([old[k] for k in moving], [new[k] for k in moving], 1 - decay)
    for k in set(range(len(old))) - set(moving):
        old[k].copy_(new[k])


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
    fill(network, finished(path), path)


def finished(path: Path) -> dict[str, Any]:
    """The weights of a .pt file, or the averaged ones of a training's folder or checkpoint."""
    state = load(path / CHECKPOINT if path.is_dir() else path)
    averaged: dict[str, Any] = state.get("averaged", state)
    return averaged

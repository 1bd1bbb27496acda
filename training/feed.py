"""Batches made by worker processes, so that the training thread never waits for pictures."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING, Generic, TypeVar

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Feed(Generic[T]):
    """A bounded queue that worker processes keep full; `stage` is a number they can see."""

    def __init__(
        self, make: Callable[[np.random.Generator, int], T], *, workers: int, seed: int, depth: int = 12
    ) -> None:
        context = multiprocessing.get_context("fork")  # shares the loaded pictures
        self._queue: multiprocessing.queues.Queue[T] = context.Queue(depth)
        self._stage = context.Value("i", 0)
        self._make = make
        self._processes = [
            context.Process(target=self._work, args=(seed + k,), daemon=True) for k in range(workers)
        ]

    def __enter__(self) -> Feed[T]:
        for process in self._processes:
            process.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def next(self) -> T:
        """Wait for the next batch."""
        return self._queue.get()

    def set_stage(self, stage: int) -> None:
        """Tell the workers where training stands; batches already made stay as they are."""
        self._stage.value = stage

    def _work(self, seed: int) -> None:
        cv2.setNumThreads(1)
        rng = np.random.default_rng([seed, int.from_bytes(os.urandom(4), "little")])
        while True:
            self._queue.put(self._make(rng, self._stage.value))

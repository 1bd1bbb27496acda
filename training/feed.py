"""Batches made by worker processes, so that the training thread never waits for pictures."""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
from typing import TYPE_CHECKING, Generic, TypeVar

import cv2
import numpy as np

from training.data import DataError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
LOOK_UP_S = 5.0  # after so long without a batch, one side looks whether the other lives


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
        """Wait for the next batch. Raises DataError where a worker has died."""
        while True:
            try:
                return self._queue.get(timeout=LOOK_UP_S)
            except queue.Empty:
                if not all(process.is_alive() for process in self._processes):
                    message = "a process that makes pictures has died (out of memory?): the same command goes on"
                    raise DataError(message) from None

    def set_stage(self, stage: int) -> None:
        """Tell the workers where training stands; batches already made stay as they are."""
        self._stage.value = stage

    def _work(self, seed: int) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer saves, then ends its workers
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        cv2.setNumThreads(1)
        rng = np.random.default_rng([seed, int.from_bytes(os.urandom(4), "little")])
        trainer = multiprocessing.parent_process()
        while trainer is not None and trainer.is_alive():
            batch = self._make(rng, self._stage.value)
            while trainer.is_alive():
                try:
                    self._queue.put(batch, timeout=LOOK_UP_S)
                    break
                except queue.Full:
                    continue
        self._queue.cancel_join_thread()

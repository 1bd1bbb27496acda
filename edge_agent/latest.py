"""The one-frame mailbox between the capture thread and the pipeline thread."""

import threading
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Latest(Generic[Item]):
    """Holds one item; the newest wins, what it replaces is counted as dropped."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._item: Item | None = None
        self._dropped = 0
        self._closed = False

    @property
    def dropped(self) -> int:
        with self._condition:
            return self._dropped

    @property
    def empty(self) -> bool:
        """The taker has taken all there was: it keeps up."""
        with self._condition:
            return self._item is None

    def put(self, item: Item) -> None:
        with self._condition:
            if self._item is not None:
                self._dropped += 1
            self._item = item
            self._condition.notify()

    def take(self, timeout_s: float) -> Item | None:
        """Wait for an item and take it; None after the timeout, or when closed and empty."""
        with self._condition:
            self._condition.wait_for(lambda: self._item is not None or self._closed, timeout_s)
            item, self._item = self._item, None
            return item

    @property
    def closed(self) -> bool:
        """No item is waiting and none will come."""
        with self._condition:
            return self._closed and self._item is None

    def close(self) -> None:
        """Wake the taker: nothing more will be put."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

"""What is to be done when, and how pauses grow."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

Action = Callable[[], None]


class Schedule:
    """Actions and the monotonic time (s) at which each is due; one planned twice keeps the earlier time."""

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due_s: dict[Action, float] = {}

    def __contains__(self, action: Action) -> bool:
        return action in self._due_s

    def after(self, seconds: float, action: Action) -> None:
        self._due_s[action] = min(self._due_s.get(action, inf), self._monotonic() + seconds)

    def cancel(self, action: Action) -> None:
        self._due_s.pop(action, None)

    def clear(self) -> None:
        self._due_s.clear()

    def run_due(self) -> None:
        """Run what is due; an action that raises leaves the ones after it for the next time."""
        now_s = self._monotonic()
        for action in [action for action, due_s in self._due_s.items() if due_s <= now_s]:
            self.cancel(action)
            action()

    def wait_s(self, *, longest_s: float) -> float:
        """Tell how long nothing is due, at most longest_s."""
        return max(0.0, min(longest_s, min(self._due_s.values(), default=inf) - self._monotonic()))


LONGEST_PAUSE_S = 75.0
"""After a long outage the cars come back over this time."""


@dataclass(slots=True)
class Backoff:
    """Growing pauses with full jitter (s), so that a hundred cars do not come back at the same moment."""

    uniform: Callable[[float, float], float]
    first_s: float = 1.0
    longest_s: float = LONGEST_PAUSE_S
    _doublings: int = field(default=0, init=False)

    def next_s(self) -> float:
        """Draw the next pause, from nothing to twice the longest that the one before could have been."""
        longest_s = min(self.longest_s, self.first_s * 2**self._doublings)
        self._doublings = min(self._doublings + 1, 30)
        return self.uniform(0, longest_s)

    def reset(self) -> None:
        self._doublings = 0

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


@dataclass(slots=True)
class Backoff:
    """Growing pauses with full jitter (s), so that a hundred cars do not come back at the same moment."""

    uniform: Callable[[float, float], float]
    first_s: float = 1.0
    longest_s: float = 75.0
    waited_s: float = field(default=0.0, init=False)
    """All pauses together, since the last reset."""

    def next_s(self, *, longest_s: float = inf) -> float:
        """Draw the next pause: at most first_s longer than all before it together, and never above either limit."""
        pause_s = self.uniform(0, min(self.longest_s, longest_s, self.first_s + self.waited_s))
        self.waited_s += pause_s
        return pause_s

    def reset(self) -> None:
        self.waited_s = 0.0

"""Draws how fleets come back after an outage."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.fleet.course import MARGIN_S, Outcome, Plan
from benchmarks.fleet.tables import percentile
from edge_agent.errors import EdgeAgentError

COLOURS = ("#7a9e3f", "#c8622d", "#1f5fa8", "#555555")
_POINTS = 200
_SHADES = {"backlog": "#f3ead2", "quiet": "#ffffff", "outage": "#e3e3e3", "back": "#e8f0dc"}


class Phase(NamedTuple):
    """A part of the course; times in seconds since the broker's return."""

    name: str
    first_s: float
    last_s: float


def phases(plan: Plan, *, first_s: float, last_s: float) -> list[Phase]:
    """Tell what happened when, from the first moment that is drawn to the last."""
    down_s = -plan.outage_s
    quiet_s = down_s - plan.seconds - MARGIN_S
    found = [
        Phase("backlog" if plan.backlog else "", min(first_s, quiet_s), quiet_s),
        Phase("quiet", quiet_s, down_s),
        Phase("outage", down_s, 0.0),
        Phase("back", 0.0, last_s),
    ]
    return [one for one in found if one.name and one.first_s < one.last_s]


def draw(outcomes: Sequence[Outcome], plan: Plan, file: Path) -> None:
    """Cars back, reads that wait and the delays, a line for each fleet. Raises EdgeAgentError."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the plot alone needs it

    figure = Figure(figsize=(13, 3.8), layout="constrained")
    back, waiting, delays = figure.subplots(1, 3, width_ratios=(1, 1.6, 1))
    for number, one in enumerate(outcomes):
        colour, label = COLOURS[number % len(COLOURS)], f"{one.cars} cars"
        shares = [(place + 1) / one.cars for place in range(len(one.returns_s))]
        back.step([0.0, *one.returns_s], [0.0, *shares], where="post", color=colour, label=label)
        times = [sample.at_s for sample in one.samples]
        waiting.plot(times, [max(1, sample.waiting) for sample in one.samples], color=colour, label=label)
        shown = [place / (_POINTS - 1) for place in range(_POINTS)] if one.delays_s else []
        ranked = sorted(one.delays_s)
        delays.plot([percentile(ranked, share) * 1e3 for share in shown], shown, color=colour)
    back.set(xlabel="s since the broker's return", ylabel="cars connected, share", ylim=(0, 1.04))
    waiting.set(xlabel="s since the broker's return", ylabel="reads without a receipt", yscale="log")
    delays.set(xlabel="delay to receipt, ms", ylabel="reads of the quiet time, share", ylim=(0, 1.04))
    times = [sample.at_s for one in outcomes for sample in one.samples] or [0.0]
    for phase in phases(plan, first_s=min(times), last_s=max(times)):
        waiting.axvspan(phase.first_s, phase.last_s, color=_SHADES[phase.name], zorder=0)
        # The backlog can be narrower than its name.
        middle_s, side = (phase.first_s + phase.last_s) / 2, "center"
        if phase.name == "backlog":
            middle_s, side = phase.last_s, "right"
        waiting.text(middle_s, 1.02, phase.name, transform=waiting.get_xaxis_transform(), ha=side, fontsize=7)
    back.set_title("Cars back after the outage", fontsize=10, pad=16)
    waiting.set_title("Reads that wait for a receipt, the whole course", fontsize=10, pad=16)
    delays.set_title("Delay of the quiet time", fontsize=10, pad=16)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    back.legend(fontsize=7, loc="lower right")
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise EdgeAgentError(f"{file}: cannot be written: {error}") from None

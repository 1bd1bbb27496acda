"""Draws how fleets come back after an outage."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.fleet.course import Outcome
from benchmarks.fleet.tables import percentile
from edge_agent.errors import EdgeAgentError

COLOURS = ("#7a9e3f", "#c8622d", "#1f5fa8", "#555555")
_POINTS = 200


def draw(outcomes: Sequence[Outcome], file: Path) -> None:
    """Cars back, reads that wait and the delays, a line for each fleet. Raises EdgeAgentError."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the plot alone needs it

    figure = Figure(figsize=(12, 3.4), layout="constrained")
    back, waiting, delays = figure.subplots(1, 3)
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
    delays.set(xlabel="delay to receipt, ms", ylabel="reads of the quiet time, share", xscale="log", ylim=(0, 1.04))
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    back.legend(fontsize=7, loc="lower right")
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise EdgeAgentError(f"{file}: cannot be written: {error}") from None

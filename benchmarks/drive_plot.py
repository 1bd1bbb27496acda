"""Draws what the drive found."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks import street
from edge_agent.camera.sim.scene import Kind
from edge_agent.errors import EdgeAgentError

COLOURS = {"captured": "#c8622d", "read right": "#1f5fa8"}


def drives(outcomes: Mapping[street.Conditions, street.Outcome], file: Path) -> None:
    """Captured and read right over each condition, of all plates and of oncoming ones. Raises EdgeAgentError."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - the plot alone needs it

    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axes, (axis, conditions) in zip(figure.subplots(1, len(street.VARIED)), street.VARIED.items(), strict=True):
        places = range(len(conditions))
        for name, kinds, style in (("all", (), "-"), ("oncoming", (Kind.ONCOMING,), "--")):
            for what, colour in COLOURS.items():
                found = [outcomes[one] for one in conditions]
                shares = [one.share(one.captured if what == "captured" else one.right, *kinds) for one in found]
                axes.plot(places, shares, style, marker="o", ms=4, color=colour, label=f"{what}, {name}")
        axes.set_xticks(places, [street.value(axis, one) for one in conditions])
        axes.set(xlabel=axis, ylim=(0, 1.04))
        axes.grid(alpha=0.3)
    figure.axes[0].legend(fontsize=7, loc="lower left")
    try:
        figure.savefig(file)
    except (OSError, ValueError) as error:
        raise EdgeAgentError(f"{file}: cannot be written: {error}") from None

"""The program's entry: `edge-agent`, or `python -m edge_agent`."""

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Load the command line and run it; Ctrl-C while the libraries load, seconds on a slow computer, ends it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from edge_agent import cli  # noqa: PLC0415 - after the line above, which is the point of this module

    cli.main()


if __name__ == "__main__":
    main()

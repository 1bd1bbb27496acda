"""Command lines that say what is wrong in one line, as the program's own commands do."""

import argparse
from typing import NoReturn


class OneLineParser(argparse.ArgumentParser):
    """argparse without the usage text before each complaint."""

    def error(self, message: str) -> NoReturn:
        name = self.prog.rpartition(".")[2]
        self.exit(2, f"{name}: {message} (see --help)\n")

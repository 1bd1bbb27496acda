"""The reference central store: takes reads from the broker, keeps each once, and says so with a receipt.

python store.py [run] --broker HOST:PORT --database DATABASE     stores until it is told to stop
python store.py gaps|query|log|import|retain --help              what else it does
"""

import importlib
import io
import sys
from pathlib import Path

if __name__ == "__main__":
    # Started by its path, wherever the folder was copied to: the folder is then the package.
    folder = Path(__file__).resolve().parent
    sys.path.insert(0, str(folder.parent))
    if isinstance(sys.stdout, io.TextIOWrapper):  # a purpose may be in any script, the terminal in another
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(importlib.import_module(f"{folder.name}.commands").main(sys.argv[1:]))

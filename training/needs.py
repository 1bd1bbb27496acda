"""Says in one line what the trainings need beside the program; imported before anything that needs it."""

import importlib.util
import sys

MISSING = [name for name in ("torch", "onnx", "matplotlib", "av") if importlib.util.find_spec(name) is None]

if MISSING:
    sys.exit(f"training needs {' and '.join(MISSING)}: pip install -e '.[training]'")

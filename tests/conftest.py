"""What all tests share."""

from hypothesis import settings

from tests.faults.amount import FULL

# The same examples in each run: whether a change lands must not hang on luck. `make test-faults` draws new ones.
settings.register_profile("repeated", derandomize=True)
settings.load_profile("default" if FULL else "repeated")

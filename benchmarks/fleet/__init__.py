"""Many cars, one broker, one central store: python -m benchmarks.fleet --help."""

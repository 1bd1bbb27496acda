"""Train, measure and export the two networks of edge-agent; see training/README.md."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # as edge_agent/vision does

"""Train, measure and export the two networks of edge-agent; see training/README.md."""

"""`edge-agent demo`: the whole chain on a simulated drive, with a broker and a central store of its own."""

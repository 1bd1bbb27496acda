"""The networks and what they see; ONNX Runtime is silenced before any module here can load it."""

import os

# It would else keep a device's lasting number in the user's cache and report to its maker: a car's computer
# talks to its cameras and its broker alone.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

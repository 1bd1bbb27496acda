"""What the rest of the program knows of a camera."""

from typing import Protocol

from edge_agent.domain import Frame


class Camera(Protocol):
    """A source of frames; all times come from the stamp function it was built with."""

    def open(self) -> None:
        """Start the source. Raises CameraError with one line that says what to check."""

    def read(self) -> Frame | None:
        """Wait for the next frame; None when a source of files has ended. Raises CameraError when stalled."""

    def close(self) -> None:
        """Release the source; a closed camera can be opened again."""

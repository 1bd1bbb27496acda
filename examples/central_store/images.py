"""Pictures of plates: which one a read names, and files of those that were asked for."""

from collections.abc import Mapping
from pathlib import Path

from edge_agent.contract.record import decode_read
from edge_agent.domain import ImageKey
from edge_agent.errors import ContractError

from .files import sync, write_whole


def image_named(record: str) -> ImageKey | None:
    """Tell which picture a stored read names.

    Not left to the databases: one fails at a number such as 1e-200000, and one picture of a read with it would stop
    the store.
    """
    try:
        read = decode_read(record.encode())
    except ContractError:  # stored by an earlier version
        return None
    return None if read.image is None else ImageKey(read.id, read.image.sha256)


def write_images(directory: Path, images: Mapping[ImageKey, bytes]) -> None:
    """Write each picture as READ_ID.jpg: whole, or not at all."""
    for key, jpeg in images.items():
        write_whole(directory / f"{key.read}.jpg", [jpeg])
    sync(directory)

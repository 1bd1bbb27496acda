"""Settings become objects: the only place where settings end."""

from pathlib import Path

from edge_agent import resources
from edge_agent.config.settings import ModelSettings, ReadingSettings, TrackingSettings
from edge_agent.contract.ids import new_id
from edge_agent.pipeline import Pipeline
from edge_agent.reading.tracker import Rules, Tracker
from edge_agent.vision.detector import CentreMapDetector
from edge_agent.vision.models import Manifest, load_manifest
from edge_agent.vision.reader import CtcReader
from edge_agent.vision.threads import limit_threads


def manifest(settings: ModelSettings) -> Manifest:
    """The networks that the settings name. Raises ModelError."""
    return load_manifest(settings.directory or resources.path("models"))


def pipeline(*, models: ModelSettings, reading: ReadingSettings, tracking: TrackingSettings) -> Pipeline:
    """A camera's pipeline with its networks loaded. Raises ModelError."""
    networks = manifest(models)
    limit_threads(models.threads)
    return Pipeline(
        detector=CentreMapDetector.load(
            networks.detector, threads=models.threads, threshold=reading.detection_confidence
        ),
        reader=CtcReader.load(networks.reader, threads=models.threads),
        tracker=Tracker(
            rules=Rules(
                emit_after_s=tracking.emit_after_s,
                emit_at_latest_s=tracking.emit_at_latest_s,
                min_hits=tracking.min_hits,
                min_plate_width_px=reading.min_plate_width_px,
                unsure_below=reading.unsure_below,
            ),
            new_id=new_id,
        ),
    )

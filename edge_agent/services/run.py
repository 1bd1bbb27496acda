"""`edge-agent run`: the configured cameras and broker, as a service."""

import logging
import threading

from edge_agent import wiring
from edge_agent.config.loader import Configuration
from edge_agent.domain import Frame
from edge_agent.host import ServiceManager
from edge_agent.latest import Latest
from edge_agent.services.agent import Agent
from edge_agent.services.health import Health
from edge_agent.services.line import CameraLine

log = logging.getLogger(__name__)


def run(configuration: Configuration, stop: threading.Event) -> None:
    """Run until stopped. Raises what keeps the service from working at all."""
    for warning in configuration.warnings:
        log.warning("%s", warning)
    settings = configuration.agent
    outbox = wiring.outbox(settings)
    publisher = wiring.publisher(settings, outbox)
    position = wiring.position(settings.position)
    keep = wiring.keep_reads(settings, outbox, publisher, position)
    lines = []
    for camera in configuration.cameras:
        latest: Latest[Frame] = Latest()
        lines.append(
            CameraLine(
                name=camera.name,
                capture=wiring.capture(camera.name, wiring.camera(camera), latest),
                latest=latest,
                pipeline=wiring.pipeline(models=settings.models, reading=camera.reading, tracking=camera.tracking),
                keep=keep,
                tell_lost=outbox.not_written,
                max_fps=camera.reading.max_fps,
                far_plates=camera.reading.far_plates,
                own_speed_kmh=position.speed_kmh,
            )
        )
    health = Health(agent=settings, outbox=outbox, publisher=publisher, lines=lines, position=position)
    publisher.report(health.encode)
    agent = Agent(
        outbox=outbox, publisher=publisher, lines=lines, service_manager=ServiceManager.from_environment()
    )
    with position:
        agent.run(stop)

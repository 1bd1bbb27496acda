"""Settings become objects: the only place where settings end."""

import logging
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_agent import __version__, host, resources
from edge_agent.camera.base import Camera
from edge_agent.camera.capture import Capture
from edge_agent.camera.files import FilesCamera
from edge_agent.camera.rtsp import RtspCamera
from edge_agent.camera.sim.camera import SimCamera
from edge_agent.camera.v4l2 import V4l2Camera
from edge_agent.config import settings as config
from edge_agent.contract.ids import new_id
from edge_agent.contract.image import BUDGET_BYTES, HEIGHT_PX, WIDTH_PX
from edge_agent.contract.record import ModelUsed, Source, draft
from edge_agent.contract.topics import Topics
from edge_agent.domain import NOT_SYNCHRONIZED, Frame, Jpeg, Read
from edge_agent.errors import ConfigurationError, ContractError, ModelError
from edge_agent.latest import Latest
from edge_agent.mqtt import Broker, MqttLink, Tls
from edge_agent.outbox import Bounds, Outbox
from edge_agent.pipeline import Pipeline, ReadsPlates
from edge_agent.position import NOWHERE, Gpsd, NoPosition
from edge_agent.publisher import Publisher, last_will
from edge_agent.reading.journal import Journal
from edge_agent.reading.passes import Passes
from edge_agent.reading.tracker import Rules, Tracker
from edge_agent.vision.detector import CentreMapDetector
from edge_agent.vision.easyocr import EasyOcrReader
from edge_agent.vision.models import DetectorModel, Manifest, Model, ReaderModel, Runtime, load_manifest
from edge_agent.vision.patch import small_jpeg
from edge_agent.vision.reader import CtcReader
from edge_agent.vision.still import Still
from edge_agent.vision.threads import limit_threads

log = logging.getLogger(__name__)

OUTBOX_FILE = "outbox.db"


def manifest(models: config.ModelSettings) -> Manifest:
    """The networks that the settings name. Raises ModelError."""
    return load_manifest(models.directory or resources.path("models"))


def runs(model: Model) -> bool:
    """Load a network and run it once; what EasyOCR would run is not. Raises ModelError."""
    match model:
        case DetectorModel():
            CentreMapDetector.load(model, runtime=Runtime(threads=1))
        case ReaderModel():
            CtcReader.load(model, runtime=Runtime(threads=1))
        case _:
            return False
    return True


def pipeline(
    *,
    models: config.ModelSettings,
    reading: config.ReadingSettings,
    tracking: config.TrackingSettings,
    journal: Journal | None = None,
) -> Pipeline:
    """A camera's pipeline with its networks loaded. Raises ModelError."""
    networks = manifest(models)
    limit_threads(models.threads)
    runtime = Runtime(threads=models.threads, provider=models.provider)
    return Pipeline(
        detector=CentreMapDetector.load(networks.detector, runtime=runtime, threshold=reading.detection_confidence),
        reader=_reader(models.engine, networks, runtime),
        tracker=Tracker(
            rules=Rules(
                emit_after_s=tracking.emit_after_s,
                emit_at_latest_s=tracking.emit_at_latest_s,
                min_evidence=tracking.min_evidence,
                min_plate_width_px=reading.min_plate_width_px,
                unsure_below=reading.unsure_below,
            ),
            new_id=new_id,
            journal=journal,
        ),
        still=Still(),
    )


def _reader(engine: config.Engine, networks: Manifest, runtime: Runtime) -> ReadsPlates:
    match engine:
        case "onnx":
            return CtcReader.load(networks.reader, runtime=runtime)
        case "easyocr":
            if networks.easyocr is None:
                raise ModelError("engine 'easyocr': models.toml has no [easyocr]")
            return EasyOcrReader.own(network=networks.easyocr, reader=networks.reader, runtime=runtime)
        case "easyocr-english":
            return EasyOcrReader.stock(reader=networks.reader, runtime=runtime)


def camera(settings: config.CameraSettings) -> Camera:
    """The camera of a kind."""
    match settings:
        case config.FilesCamera():
            return FilesCamera(name=settings.name, path=settings.path, pace=settings.pace, now=host.now)
        case config.RtspCamera():
            return RtspCamera(
                name=settings.name,
                url=settings.url,
                credentials_file=settings.credentials_file,
                open_timeout_s=settings.open_timeout_s,
                read_timeout_s=settings.read_timeout_s,
                now=host.now,
            )
        case config.V4l2Camera():
            return V4l2Camera(
                name=settings.name,
                device=settings.device,
                format=settings.format,
                width=settings.width,
                height=settings.height,
                rate_fps=settings.rate_fps,
                exposure=settings.exposure,
                gain=settings.gain,
                now=host.now,
            )
        case config.SimCamera():
            return SimCamera(
                name=settings.name,
                seed=settings.seed,
                seconds=settings.seconds,
                rate_fps=settings.rate_fps,
                width=settings.width,
                height=settings.height,
                now=host.now,
            )


def capture(name: str, source: Camera, latest: Latest[Frame]) -> Capture:
    """The capture loop of a camera."""
    return Capture(name=name, camera=source, sink=latest, now=host.now, jitter=random.Random())


def outbox(agent: config.AgentSettings) -> Outbox:
    """The outbox of a vehicle. Raises ConfigurationError where its key cannot be read."""
    return Outbox(
        path=agent.state.directory / OUTBOX_FILE,
        now=host.now_since_boot,
        owner=owner(agent.vehicle),
        key=outbox_key(agent.state),
        bounds=Bounds(quota_bytes=agent.state.quota_mb * 1_000_000, keep_s=agent.retention.reads_s),
    )


def outbox_key(state: config.StateSettings) -> bytes | None:
    """The key that the outbox is encrypted with, 32 bytes. Raises ConfigurationError."""
    if state.key_file is None:
        return None
    text = _first_line(state.key_file, "the key")
    if re.fullmatch(r"[0-9a-fA-F]{64}", text) is None:
        raise ConfigurationError([f"{state.key_file}: its first line should be 64 hexadecimal digits"])
    return bytes.fromhex(text)


def owner(vehicle: config.VehicleSettings) -> str:
    """Whose reads an outbox holds."""
    return f"{vehicle.agency}/{vehicle.id}"


def _first_line(file: Path, what: str) -> str:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "is not text"
        raise ConfigurationError([f"{file}: {what} cannot be read: {reason}"]) from None
    return lines[0] if lines else ""


def broker(mqtt: config.MqttSettings) -> Broker:
    """Where the broker is and how to get in. Raises ConfigurationError."""
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        tls=Tls(mqtt.ca_file, mqtt.certificate_file, mqtt.key_file) if mqtt.tls else None,
        username=mqtt.username,
        password=_first_line(mqtt.password_file, "the password") if mqtt.password_file else None,
    )


def publisher(agent: config.AgentSettings, outbox: Outbox) -> Publisher:
    """The way from the outbox to the broker. Raises ConfigurationError."""
    vehicle, mqtt = agent.vehicle, agent.mqtt
    topics = Topics(prefix=mqtt.prefix, agency=vehicle.agency, vehicle=vehicle.id)
    link = MqttLink(
        broker=broker(mqtt),
        client_id=f"{vehicle.agency}.{vehicle.id}",  # names have no dot
        keepalive_s=mqtt.keepalive_s,
        will=last_will(topics),
    )
    return Publisher(
        outbox=outbox,
        link=link,
        topics=topics,
        window=mqtt.window,
        confirm=mqtt.confirm,
        resend_after_s=mqtt.resend_after_s,
    )


def source(models: config.ModelSettings) -> Source:
    """What a record says of the program and its networks."""
    networks = manifest(models)
    detector, reader = (
        ModelUsed(name=f"{name}-{one.version}", sha256=one.sha256[:16])
        for name, one in (("detector", networks.detector), ("reader", networks.reader))
    )
    return Source(agent=__version__, detector=detector, reader=reader)


def position(settings: config.PositionSettings) -> NoPosition:
    """What knows where the car is."""
    return Gpsd(host=settings.gpsd_host, port=settings.gpsd_port) if settings.gpsd_host else NOWHERE


def keep_reads(
    agent: config.AgentSettings, outbox: Outbox, publisher: Publisher, where: NoPosition = NOWHERE
) -> Callable[[Sequence[Read]], None]:
    """The way of reads to the disk: committed when it returns, then the publisher is told. Raises ModelError."""
    seen = Passes(within_s=agent.passes.within_s)
    by = source(agent.models)

    def keep(reads: Sequence[Read]) -> None:
        clock, now = host.clock_state(), host.now()
        drafts = []
        for read in reads:
            try:
                drafts.append(
                    draft(
                        read,
                        pass_id=seen.of(read),
                        agency=agent.vehicle.agency,
                        vehicle=agent.vehicle.id,
                        source=by,
                        clock=clock if now.same_clock(read.captured) else NOT_SYNCHRONIZED,
                        position=where.at(read.captured.monotonic_s),
                        image=_picture(read) if agent.images.send else None,
                    )
                )
            except ContractError as error:  # one read that cannot be said must not stop the others
                log.error("not kept: %s", error)  # noqa: TRY400 - the line says it, a trace would not help
        outbox.append(drafts)
        publisher.notify()

    return keep


def _picture(read: Read) -> Jpeg:
    return small_jpeg(read.patch, width=WIDTH_PX, height=HEIGHT_PX, most_bytes=BUDGET_BYTES)

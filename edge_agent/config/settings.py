"""Every setting: its bounds and, in one line, what it means: for the reference, the form and the error alike."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from edge_agent.config.durations import checked, seconds
from edge_agent.config.fields import (
    AnyPath,
    Directory,
    FourCharacterCode,
    FutureDirectory,
    HostName,
    Name,
    PublicFile,
    RtspUrl,
    SecretFile,
    Topic,
    wrong_setting,
    wrong_value,
)


class Settings(BaseModel):
    """What every table has in common: nothing unknown, nothing converted, nothing changed later."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )


class VehicleSettings(Settings):
    """Who is speaking: both names are part of every topic and of every read."""

    agency: Name = Field(description="The agency's short name, as the central store knows it.")
    id: Name = Field(
        description="The vehicle's name, unique in the agency; also the name in its client certificate."
    )


class StateSettings(Settings):
    """Where the program keeps what must survive."""

    directory: FutureDirectory = Field(
        default=Path("/var/lib/edge-agent"), description="Directory of the outbox and of the tuner's settings."
    )
    key_file: SecretFile | None = Field(
        default=None,
        description="File whose first line is the outbox's key, 64 hexadecimal digits: it is encrypted by it, even"
        " one that was not; absent: reads lie on the disk as they are.",
    )
    quota_mb: int = Field(
        default=1000,
        ge=1,
        le=1_000_000,
        description="Megabytes that reads may take, about a thousand reads each; where they would take more, the"
        " oldest leave, those first that the broker has, and the store is told which.",
    )


class RetentionSettings(Settings):
    """How long the car may keep what it has not delivered; it deletes without any network."""

    reads: Annotated[str, AfterValidator(checked)] = Field(
        default="21 days",
        description="Age at which a read is deleted and overwritten, delivered or not, and the store told: a time "
        'such as "21 days", or "new-hampshire" (3 minutes), "connecticut", "maine" (21 days), '
        '"california-highway-patrol" (60 days), "new-jersey" (3 years).',
    )

    @property
    def reads_s(self) -> float:
        return seconds(self.reads)


class ExportSettings(Settings):
    """Carrying reads out by hand, on a stick."""

    certificate_file: PublicFile | None = Field(
        default=None,
        description="The central store's certificate (PEM): what `edge-agent outbox export` writes is encrypted to"
        " it; absent: it is not.",
    )


class MqttSettings(Settings):
    """The way to the central store."""

    host: HostName = Field(default="localhost", description="Name or address of the broker; it must speak MQTT 5.")
    port: int = Field(
        default=8883, ge=1, le=65535, description="The broker's TCP port; 8883 with TLS, 1883 without."
    )
    tls: bool = Field(
        default=True, description="Whether the connection is encrypted and the broker's certificate checked."
    )
    ca_file: PublicFile | None = Field(
        default=None, description="Certificate authority that signed the broker's; absent: those of the system."
    )
    certificate_file: PublicFile | None = Field(
        default=None, description="This vehicle's client certificate (PEM)."
    )
    key_file: SecretFile | None = Field(default=None, description="Private key of the client certificate (PEM).")
    username: str | None = Field(
        default=None, min_length=1, max_length=256, description="User name, for a broker that asks for one."
    )
    password_file: SecretFile | None = Field(
        default=None, description="File whose first line is the user's password."
    )
    prefix: Topic = Field(default="lpr", description="First part of every topic.")
    confirm: Literal["store", "broker"] = Field(
        default="store",
        description="Who must confirm a read before it leaves the disk: the central store or just the broker.",
    )
    window: int = Field(
        default=100, ge=1, le=1000, description="How many reads may be on their way without confirmation."
    )
    keepalive_s: int = Field(
        default=20, ge=5, le=600, description="Seconds of silence after which the connection is tested."
    )
    resend_after_s: float = Field(
        default=60.0,
        ge=1,
        le=86400,
        description="Seconds without the store's receipt after which a read is sent again.",
    )

    @field_validator("ca_file", "certificate_file")
    @classmethod
    def _needs_tls(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("tls") is False:
            raise wrong_setting("has no use while tls = false")
        return value

    @field_validator("key_file", "password_file")
    @classmethod
    def _goes_with(cls, value: object, info: ValidationInfo) -> object:
        this = str(info.field_name)
        other = {"key_file": "certificate_file", "password_file": "username"}[this]
        if other in info.data and (value is None) != (info.data[other] is None):
            missing, present = (this, other) if value is None else (other, this)
            raise wrong_setting(f"{present} is set but {missing} is not: they go together", beside=present)
        return value


Engine = Literal["onnx", "easyocr", "easyocr-english"]


class ModelSettings(Settings):
    """The networks that find and read plates."""

    directory: Directory | None = Field(
        default=None,
        description="Directory with models.toml and the weights; absent: the ones that came with the program.",
    )
    engine: Engine = Field(
        default="onnx",
        description="What reads the plates: our network by ONNX Runtime, the same by EasyOCR, or EasyOCR's English "
        "recognizer; the last two need the extra `easyocr`.",
    )
    threads: int = Field(
        default=2, ge=1, le=64, description="Processor threads that the networks of one camera may use."
    )
    provider: Literal["cpu", "openvino", "cuda", "tensorrt"] = Field(
        default="cpu",
        description="What the networks run on where ONNX Runtime has it; else the CPU, with a warning.",
    )


class ReadingSettings(Settings):
    """What of a picture is read."""

    detection_confidence: float | None = Field(
        default=None,
        ge=0.01,
        le=0.99,
        description="Confidence from which a detection is a plate, legible or not; absent: the model's own.",
    )
    unsure_below: float = Field(
        default=0.4, ge=0, le=1, description="Share below which a character is given as ? instead of guessed."
    )
    min_plate_width_px: int = Field(
        default=32, ge=1, le=2000, description="Narrower plates, in pixels of the full frame, are not read."
    )
    max_fps: float = Field(
        default=15.0,
        ge=1,
        le=120,
        description="Frames a second that are looked at, at most: more cost more and give fast plates more looks.",
    )
    far_plates: bool = Field(
        default=True,
        description="Look closer for far plates: at a quarter of the frame four times a second, where time allows.",
    )


class TrackingSettings(Settings):
    """How the frames of one passing vehicle become one read."""

    min_evidence: float = Field(
        default=1.1,
        ge=0.1,
        le=50,
        description="Frames' worth of agreement that a read needs: the shares its frames give its text, summed.",
    )
    emit_after_s: float = Field(
        default=1.5,
        ge=0.1,
        le=60,
        description="Seconds after the last sight of a plate at which its read is given.",
    )
    emit_at_latest_s: float = Field(
        default=3.0,
        ge=0.1,
        le=60,
        description="Seconds after the first good sight at which a read is given in any case.",
    )

    @field_validator("emit_at_latest_s")
    @classmethod
    def _not_before_emit_after(cls, value: float, info: ValidationInfo) -> float:
        after = info.data.get("emit_after_s")
        if after is not None and value < after:
            raise wrong_value(f"should be at least emit_after_s ({after})", beside="emit_after_s")
        return value


class PassesSettings(Settings):
    """What several cameras of the car read of one vehicle."""

    within_s: float = Field(
        default=10.0,
        ge=0,
        le=600,
        description="Seconds after one camera lost a plate within which another may see it in the same pass: their"
        " reads carry the same pass_id.",
    )


class PositionSettings(Settings):
    """Where the car was, beside each read."""

    gpsd_host: HostName | None = Field(
        default=None,
        description="Name or address of the gpsd that the car's receiver is attached to; absent: reads carry no"
        " position.",
    )
    gpsd_port: int = Field(default=2947, ge=1, le=65535, description="Its TCP port.")


class ImageSettings(Settings):
    """Pictures of the plates, beside what was read."""

    send: bool = Field(
        default=False,
        description="Send a picture of each read's plate, 120x60 pixels and 3 KB at most, after the read.",
    )


class LoggingSettings(Settings):
    """What the program tells of its own work."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="Least weight of a message that is logged; DEBUG shows the plates read."
    )


class AgentSettings(Settings):
    """Everything in agent.toml."""

    vehicle: VehicleSettings = Field(description="Who is speaking: needs agency, id.")
    state: StateSettings = Field(default=StateSettings(), description="Where the program keeps what must survive.")
    retention: RetentionSettings = Field(
        default=RetentionSettings(), description="How long the car may keep what it has not delivered."
    )
    export: ExportSettings = Field(default=ExportSettings(), description="Carrying reads out by hand.")
    mqtt: MqttSettings = Field(default=MqttSettings(), description="The way to the central store.")
    models: ModelSettings = Field(default=ModelSettings(), description="The networks that find and read plates.")
    reading: ReadingSettings = Field(
        default=ReadingSettings(), description="What of a picture is read; a camera's file may differ."
    )
    tracking: TrackingSettings = Field(
        default=TrackingSettings(), description="How frames become a read; a camera's file may differ."
    )
    passes: PassesSettings = Field(
        default=PassesSettings(), description="How reads of several cameras belong together."
    )
    position: PositionSettings = Field(
        default=PositionSettings(), description="Where the car was, beside each read."
    )
    images: ImageSettings = Field(
        default=ImageSettings(), description="Pictures of the plates, beside what was read."
    )
    logging: LoggingSettings = Field(
        default=LoggingSettings(), description="What the program tells of its own work."
    )


class Camera(Settings):
    """What the cameras of every kind have in common."""

    name: Name = Field(description="The camera's name in every read; absent: the file's name without .toml.")
    reading: ReadingSettings = Field(
        default=ReadingSettings(),
        description="This camera's own reading settings; absent keys come from agent.toml.",
    )
    tracking: TrackingSettings = Field(
        default=TrackingSettings(),
        description="This camera's own tracking settings; absent keys come from agent.toml.",
    )


class FilesCamera(Camera):
    """Pictures or a video from the disk."""

    kind: Literal["files"] = Field(description="Pictures or a video from the disk.")
    path: AnyPath = Field(description="A directory of pictures, one picture or a video.")
    pace: Literal["recorded", "fast"] = Field(
        default="recorded", description="As it was recorded, or as fast as the computer can."
    )


class RtspCamera(Camera):
    """A network camera."""

    kind: Literal["rtsp"] = Field(description="A network camera.")
    url: RtspUrl = Field(description="Address of the stream, without user and password.")
    credentials_file: SecretFile | None = Field(
        default=None, description="File whose one line is the camera's user:password."
    )
    open_timeout_s: float = Field(default=10.0, ge=1, le=60, description="Seconds to wait for the connection.")
    read_timeout_s: float = Field(
        default=5.0, ge=0.5, le=120, description="Seconds without a frame after which the camera counts as stalled."
    )


def _exposure(value: object) -> object:
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 100_000):
        return value
    raise wrong_value('should be "auto" or a whole number of 0.1 ms from 1 to 100000')


class V4l2Camera(Camera):
    """A camera on this computer's USB or video input."""

    kind: Literal["v4l2"] = Field(description="A camera on this computer's USB or video input.")
    device: AnyPath = Field(
        description="The device: /dev/video0, or better its lasting name under /dev/v4l/by-id/."
    )
    format: FourCharacterCode = Field(
        default="MJPG", description="The pictures' format on the wire, four characters."
    )
    width: int = Field(default=1920, ge=160, le=7680, description="Width of the pictures in pixels.")
    height: int = Field(default=1080, ge=120, le=4320, description="Height of the pictures in pixels.")
    rate_fps: float = Field(default=30.0, ge=1, le=240, description="Pictures a second.")
    exposure: Annotated[Literal["auto"] | int, BeforeValidator(_exposure)] = Field(
        default="auto", description='"auto", or the exposure in units of 0.1 ms: 10 is 1/1000 s, right for 90 km/h.'
    )
    gain: int | None = Field(
        default=None, ge=0, le=65535, description="Gain in the device's own units; absent: left as it is."
    )


class SimCamera(Camera):
    """A drawn drive with known plates, for trying things out."""

    kind: Literal["sim"] = Field(description="A drawn drive with known plates, for trying things out.")
    seed: int = Field(default=1, ge=0, le=2**31 - 1, description="The same number draws the same drive.")
    seconds: float = Field(default=60.0, gt=0, le=86400, description="Length of the drive in seconds.")
    rate_fps: float = Field(default=15.0, ge=1, le=120, description="Pictures a second.")
    width: int = Field(default=1280, ge=320, le=3840, description="Width of the pictures in pixels.")
    height: int = Field(default=720, ge=240, le=2160, description="Height of the pictures in pixels.")


CameraSettings = Annotated[
    FilesCamera | RtspCamera | V4l2Camera | SimCamera,
    Field(discriminator="kind", description="One file of cameras/."),
]
"""One camera, told apart by its kind."""

CAMERA_KINDS: dict[str, type[FilesCamera] | type[RtspCamera] | type[V4l2Camera] | type[SimCamera]] = {
    "files": FilesCamera,
    "rtsp": RtspCamera,
    "v4l2": V4l2Camera,
    "sim": SimCamera,
}

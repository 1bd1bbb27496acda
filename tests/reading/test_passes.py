from dataclasses import replace
from uuid import UUID

from edge_agent.domain import Read
from edge_agent.reading.passes import Passes
from tests import fakes
from tests.contract.reads import make_read


def read(number: int, text: str, *, camera: str, first_s: float, last_s: float) -> Read:
    made = make_read(text, id=UUID(int=number), camera=camera)
    return replace(made, first=fakes.stamp(first_s), last=fakes.stamp(last_s))


def test_a_second_cameras_read_names_the_first_ones() -> None:
    passes = Passes(within_s=5)
    assert passes.of(read(1, "AB12", camera="front", first_s=0, last_s=1)) is None
    assert passes.of(read(2, "AB12", camera="rear", first_s=4, last_s=5)) == UUID(int=1)
    assert passes.of(read(3, "AB12", camera="infrared", first_s=6, last_s=7)) == UUID(int=1)


def test_what_one_camera_could_not_tell_is_no_contradiction() -> None:
    passes = Passes(within_s=5)
    passes.of(read(1, "ABO2", camera="colour", first_s=0, last_s=1))
    assert passes.of(read(2, "A?02", camera="infrared", first_s=0, last_s=1)) == UUID(int=1)


def test_others_are_not_linked() -> None:
    passes = Passes(within_s=5)
    passes.of(read(1, "AB12", camera="front", first_s=0, last_s=1))
    assert passes.of(read(2, "AB13", camera="rear", first_s=1, last_s=2)) is None
    assert passes.of(read(3, "AB12", camera="front", first_s=2, last_s=3)) is None
    assert passes.of(read(4, "AB12", camera="rear", first_s=9, last_s=10)) is None


def test_a_correction_stays_in_its_pass() -> None:
    passes = Passes(within_s=5)
    passes.of(read(1, "AB12", camera="front", first_s=0, last_s=1))
    passes.of(read(2, "AB12", camera="rear", first_s=2, last_s=3))
    assert passes.of(read(2, "AB72", camera="rear", first_s=2, last_s=9)) == UUID(int=1)

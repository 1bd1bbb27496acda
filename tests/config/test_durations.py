import pytest
from pydantic_core import PydanticCustomError

from edge_agent.config.durations import checked, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 minutes", 180), ("1 day", 86400), ("21 days", 21 * 86400), ("2 years", 2 * 365 * 86400),
        ("90 seconds", 90),
        ("new-hampshire", 180), ("connecticut", 21 * 86400), ("new-jersey", 3 * 365 * 86400),
    ],
)  # fmt: skip
def test_times_and_laws(text: str, expected: float) -> None:
    assert seconds(text) == expected
    assert checked(text) == text


@pytest.mark.parametrize(
    "text", ["", "21", "3 min", "21days", "0 days", "-1 days", "1.5 hours", "forever", "texas", "9999999 days"]
)
def test_what_says_no_time_is_refused(text: str) -> None:
    with pytest.raises(PydanticCustomError, match='or a whole number and a unit, such as "21 days"'):
        checked(text)


def test_a_number_is_no_misspelled_law() -> None:
    with pytest.raises(PydanticCustomError, match='should be one of "'):
        checked("3 min")


def test_a_law_that_is_misspelled_is_named() -> None:
    with pytest.raises(PydanticCustomError, match='should be "connecticut", or a whole number'):
        checked("conneticut")

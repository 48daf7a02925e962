import pytest

from pipelines.cron import six_fields
from slate.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("0 3 * * *", "0 0 3 * * *"),
        ("*/15 * * * *", "0 */15 * * * *"),
        ("5 4 1,15 JAN-mar ?", "0 5 4 1,15 JAN-mar ?"),
        ("  10   0 9 ? * 1-5 ", "10 0 9 ? * 1-5"),
        ("0 0-12/4 * * sun", "0 0 0-12/4 * * sun"),
    ],
)
def test_five_fields_get_a_second_and_six_stay(given: str, meant: str) -> None:
    assert six_fields(given) == meant


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ("0 3 * *", "has 4 fields; give five"),
        ("0 3 * * * * *", "has 7 fields"),
        ("", "has 0 fields"),
        ("60 3 * * *", "minute '60' is out of range: 0 to 59"),
        ("0 24 * * *", "hour '24' is out of range: 0 to 23"),
        ("0 3 0 * *", "day of month '0' is out of range: 1 to 31"),
        ("0 3 * * 7", "day of week '7' is out of range: 0 to 6; Sunday is 0"),
        ("0 3 * mai *", "month 'mai' is out of range"),
        ("*/0 3 * * *", "minute '\\*/0' has a step of 0"),
        ("0 5-3 * * *", "hour '5-3' runs backward"),
        ("0 3-* * * *", "hour '3-\\*' is not a number"),
        ("? 3 * * *", "minute '\\?' is only for days"),
        ("0 *-5 * * *", "is no range"),
        ("@daily", "has 1 fields"),
    ],
)
def test_the_field_and_what_is_wrong_with_it_are_named(given: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        six_fields(given)

import pytest

from soe_auth.model.duration import in_words, parse_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("8h", 28800),
        ("1d", 86400),
        ("1h30m", 5400),
        ("0", 0),
        ("600", 600),
        (" 5m ", 300),
    ],
)
def test_durations_are_parsed(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "1h30", "٣", "m", "10 m", "-5m", "5m10h", "1.5h", "٣m", "9999d"]
)
def test_invalid_durations_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (86399.6, "24 h"),
        (86400, "24 h"),
        (5400, "1 h 30 min"),
        (600, "10 min"),
        (119, "119 s"),
        (0.4, "0 s"),
        (-3, "0 s"),
        (30 * 86400, "30 d"),
        (3 * 86400 + 7200, "3 d 2 h"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize("text", ["90s", "1m30s", "10m", "8h", "1d", "1d2h3m4s", "0", "366d"])
def test_a_written_duration_parses_to_the_same_seconds(text: str) -> None:
    seconds = parse_duration(text)
    assert parse_duration(write_duration(seconds)) == seconds
    assert write_duration(seconds) == ("1m30s" if text == "90s" else text)

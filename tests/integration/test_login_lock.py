"""Whose turn it is to log in."""

from pathlib import Path

import pytest

from soe_auth import LoginBusy
from soe_auth.storage.login_lock import Turns


@pytest.fixture
def turns(tmp_path: Path) -> Turns:
    return Turns(tmp_path / "config", report=print)


def test_one_login_at_a_time_holds_a_profile(turns: Turns) -> None:
    with turns.take("acme"):
        with pytest.raises(LoginBusy), turns.take("acme"):
            raise AssertionError("two hold the lock")
        with turns.take("other"):
            pass
    with turns.take("acme"):
        pass


def test_each_unanswered_login_doubles_the_pause_until_somebody_answers(tmp_path: Path) -> None:
    clock = [1000.0]
    turns = Turns(tmp_path, report=print, now=lambda: clock[0])
    assert turns.held_back("acme") <= 0
    pauses = []
    with turns.take("acme"):
        for _ in range(9):
            turns.note_unanswered("acme")
            pauses.append(turns.held_back("acme"))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    clock[0] += 3599
    assert turns.held_back("acme") == 1
    clock[0] -= 86400
    assert turns.held_back("acme") == 3600
    clock[0] += 86400 + 2
    assert turns.held_back("acme") <= 0
    turns.forget_unanswered("acme")
    assert turns.held_back("acme") <= 0


def test_a_count_that_does_not_parse_holds_nothing_back(tmp_path: Path) -> None:
    turns = Turns(tmp_path, report=print, now=lambda: 1000.0)
    with turns.take("acme"):
        (tmp_path / "locks" / "acme.unanswered").write_bytes(b"x")
        assert turns.held_back("acme") <= 0
        turns.note_unanswered("acme")
        assert turns.held_back("acme") == 60

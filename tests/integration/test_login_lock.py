"""One login at a time, and a delay after failures."""

from pathlib import Path

import pytest

from soe_auth import LoginBusy
from soe_auth.storage.login_lock import LoginLock


@pytest.fixture
def login_lock(tmp_path: Path) -> LoginLock:
    return LoginLock(tmp_path / "config", report=print)


def test_one_login_at_a_time_holds_the_lock_of_a_profile(login_lock: LoginLock) -> None:
    with login_lock.acquire("acme"):
        with pytest.raises(LoginBusy), login_lock.acquire("acme"):
            raise AssertionError("two processes hold the lock")
        with login_lock.acquire("other"):
            pass
    with login_lock.acquire("acme"):
        pass


def test_each_failed_login_doubles_the_delay_up_to_an_hour(tmp_path: Path) -> None:
    clock = [1000.0]
    login_lock = LoginLock(tmp_path, report=print, now=lambda: clock[0])
    assert login_lock.retry_delay("acme") <= 0
    pauses = []
    with login_lock.acquire("acme"):
        for _ in range(9):
            login_lock.record_failure("acme")
            pauses.append(login_lock.retry_delay("acme"))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    clock[0] += 3599
    assert login_lock.retry_delay("acme") == 1
    clock[0] += 2
    assert login_lock.retry_delay("acme") <= 0
    login_lock.clear_failure("acme")
    assert login_lock.retry_delay("acme") <= 0


@pytest.mark.parametrize("moment", [1e9, 1e9 + 0.7])
def test_there_is_no_delay_after_the_clock_was_set_back(tmp_path: Path, moment: float) -> None:
    clock = [moment]
    login_lock = LoginLock(tmp_path, report=print, now=lambda: clock[0])
    with login_lock.acquire("acme"):
        login_lock.record_failure("acme")
    assert login_lock.retry_delay("acme") == pytest.approx(60, abs=1)
    clock[0] -= 86400
    assert login_lock.retry_delay("acme") <= 0
    with login_lock.acquire("acme"):
        login_lock.record_failure("acme")
    assert login_lock.retry_delay("acme") == pytest.approx(120, abs=1)


def test_a_corrupt_failure_count_causes_no_delay(tmp_path: Path) -> None:
    login_lock = LoginLock(tmp_path, report=print, now=lambda: 1000.0)
    with login_lock.acquire("acme"):
        (tmp_path / "locks" / "acme.unanswered").write_bytes(b"x")
        assert login_lock.retry_delay("acme") <= 0
        login_lock.record_failure("acme")
        assert login_lock.retry_delay("acme") == 60

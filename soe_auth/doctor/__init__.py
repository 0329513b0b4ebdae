"""Diagnosis: find out why a login would fail on this machine.

No check changes anything: no file is written, repaired or moved, and no lock is taken. Only the
site that the settings name is contacted. No finding contains a secret.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from traceback import extract_tb

from soe_auth.doctor import local, remote, stored
from soe_auth.doctor.finding import Finding, from_error
from soe_auth.doctor.loopback import check_loopback
from soe_auth.errors import LoginRequired, SettingsError, SoeAuthError
from soe_auth.settings.resolve import NO_PROFILE, resolve
from soe_auth.settings.settings import Settings, find_paths
from soe_auth.settings.spec import BROWSER, PORT, REDIRECT, REDIRECT_HOST

__all__ = ["Finding", "examine"]


def examine(
    flags: Mapping[str, str],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Callable[[], Path] = Path.cwd,
    now: Callable[[], float] = time.time,
) -> Iterator[Finding]:
    """Run each check, those of this machine first; each has a time limit.

    The arguments are those of `settings.resolve`; `now` returns seconds since the epoch. Raises
    nothing: a check that fails becomes a finding, and the next one runs.
    """
    yield from _run("versions", local.check_versions)
    yield from _run("versions", remote.check_http_client)
    settings, problems = _resolve(flags, profile, environ, cwd)
    yield from _run("settings", lambda: problems)
    if settings:
        if not problems:
            yield from _run("settings", lambda: local.check_profile(settings))
        yield from _run("settings", lambda: local.list_values(settings))
    try:
        directory = find_paths(environ).directory
    except SettingsError as problem:
        if str(problem) not in {finding.says for finding in problems}:
            yield from_error("store", problem)
    else:
        yield from _run("store", lambda: stored.check_store(directory))
        if settings and settings.store == "keyring":
            yield from _run("keyring", stored.check_keyring)
        yield from _run(
            "token", lambda: stored.check_tokens(profile, directory, environ, now(), cwd)
        )

    # Without settings, the defaults are checked.
    ports = settings.port if settings else PORT.default
    host = settings.redirect_host if settings else REDIRECT_HOST.default
    redirect = settings.redirect if settings else REDIRECT.default
    browser = settings.browser if settings else BROWSER.default
    origin = settings.origins[BROWSER.key] if settings else "default"
    yield from _run("place", lambda: local.check_environment(environ, ports.first or None))
    yield from _run("browser", lambda: local.check_browser(browser, origin, environ))
    needed = redirect == "loopback"
    yield from _run("loopback", lambda: check_loopback(ports, host, needed=needed))
    if settings:
        yield from _run("site", lambda: remote.check_site(settings, environ, now))


def _resolve(
    flags: Mapping[str, str],
    profile: str | None,
    environ: Mapping[str, str],
    cwd: Callable[[], Path],
) -> tuple[Settings | None, list[Finding]]:
    """Return the settings and the problems found; without a profile, the defaults."""
    try:
        return resolve(flags, profile=profile, environ=environ, cwd=cwd), []
    except LoginRequired:
        todo = "Type `soe-auth init`, or name a site with --site."
        no_profile = Finding("settings", "warning", "no profile and no site are set", todo)
        settings, problems = _resolve(flags, NO_PROFILE, environ, cwd)
        return settings, [no_profile, *problems]
    except SettingsError as problem:
        return None, [from_error("settings", problem)]


def _run(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check, redacted; an unexpected exception is one as well."""
    try:
        for finding in check():
            yield finding.redacted()
    except Exception as problem:  # noqa: BLE001  # a bug in one check must not stop the others
        frame = extract_tb(problem.__traceback__)[-1]
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        says = f"this check failed: {type(problem).__name__} in {place}"
        yield Finding(
            name, "error", says, "This is a bug in soe-auth: please report it.", SoeAuthError
        )

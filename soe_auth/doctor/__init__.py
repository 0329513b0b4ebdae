"""The story of a look around: why a login would fail here, found out before anybody tries one.

It changes nothing: no file is left, repaired or set aside, no lock is taken. It asks only
the site that the settings name, and says no secret.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from traceback import extract_tb
from typing import TYPE_CHECKING, TypeVar

from soe_auth.doctor.finding import Finding, from_error, warning
from soe_auth.doctor.local import (
    look_at_browser,
    look_at_place,
    look_at_profile,
    look_at_values,
    look_at_versions,
)
from soe_auth.doctor.loopback import look_at_loopback
from soe_auth.doctor.remote import look_at_http_client, look_at_site
from soe_auth.doctor.stored import look_at_keyring, look_at_store, look_at_tokens
from soe_auth.errors import LoginRequired, SettingsError, SoeAuthError
from soe_auth.settings.config_files import find_paths
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import BROWSER, PORT, REDIRECT, REDIRECT_HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from soe_auth.oauth.pkce import Entropy
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import Setting

__all__ = ["Finding", "examine"]

T = TypeVar("T")

_NO_PROFILE = "none"  # the name of a profile, where there is none


def examine(
    flags: Mapping[str, str],
    *,
    profile: str | None = None,
    environ: Mapping[str, str] = os.environ,
    cwd: Callable[[], Path] = Path.cwd,
    now: Callable[[], float] = time.time,
    entropy: Entropy = os.urandom,
) -> Iterator[Finding]:
    """Look at one thing after another, nearest first; each look is bounded in time.

    The arguments are those of `settings.resolve`, `now` is in seconds since the epoch. It raises
    nothing: a look that fails is a finding, and the next one goes on.
    """
    yield from _looked("versions", look_at_versions)
    yield from _looked("versions", look_at_http_client)
    settings, trouble = _resolve(flags, profile, environ, cwd)
    yield from _looked("settings", lambda: trouble)
    if settings:
        if not trouble:
            yield from _looked("settings", lambda: look_at_profile(settings))
        yield from _looked("settings", lambda: look_at_values(settings))
    try:
        directory = find_paths(environ).directory
    except SettingsError as problem:
        if str(problem) not in {finding.says for finding in trouble}:
            yield from_error("store", problem)
    else:
        yield from _looked("store", lambda: look_at_store(directory))
        if settings and settings.store == "keyring":
            yield from _looked("keyring", look_at_keyring)
        yield from _looked("token", lambda: look_at_tokens(profile, directory, environ, now(), cwd))

    def held(setting: Setting[T]) -> T:
        value: T = getattr(settings, setting.key) if settings else setting.default
        return value

    ports, host, needed = held(PORT), held(REDIRECT_HOST), held(REDIRECT) == "loopback"
    origin = settings.origins[BROWSER.key] if settings else "default"
    yield from _looked("place", lambda: look_at_place(environ, ports.first or None))
    yield from _looked("browser", lambda: look_at_browser(held(BROWSER), origin, environ))
    yield from _looked("loopback", lambda: look_at_loopback(ports, host, entropy, needed=needed))
    if settings:
        yield from _looked("site", lambda: look_at_site(settings, environ, now))


def _resolve(
    flags: Mapping[str, str],
    profile: str | None,
    environ: Mapping[str, str],
    cwd: Callable[[], Path],
) -> tuple[Settings | None, list[Finding]]:
    """Resolve the settings, and say what is in the way of that.

    Where there is no profile yet, they are the defaults with the flags.
    """
    try:
        return resolve(flags, profile=profile, environ=environ, cwd=cwd), []
    except LoginRequired:
        no_profile = warning(
            "settings",
            "there is no profile yet, and no site is known",
            "Type `soe-auth init`, or look at a site with --site.",
        )
        settings, trouble = _resolve(flags, _NO_PROFILE, environ, cwd)
        return settings, [no_profile, *trouble]
    except SettingsError as problem:
        return None, [from_error("settings", problem)]


def _looked(name: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Pass on what a look finds; one that breaks off has found a bug, and is not the last."""
    try:
        for finding in look():
            yield finding.without_passwords
    except Exception as problem:  # noqa: BLE001  # the other looks are worth having all the same
        at = extract_tb(problem.__traceback__)[-1]
        yield Finding(
            name,
            "error",
            f"this look broke off: {type(problem).__name__} in {Path(at.filename).name}, line"
            f" {at.lineno}",
            "That is a bug in soe-auth: please report it.",
            SoeAuthError,
        )

"""What can be said of this machine without asking anything else: versions, settings, browser."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from soe_auth.desktop.browser import find_browser, opens_by_itself
from soe_auth.desktop.detect import ROOT
from soe_auth.desktop.environment import detect
from soe_auth.doctor.finding import Finding, error, from_error, ok, warning
from soe_auth.errors import SettingsError
from soe_auth.settings.settings import EXAMPLE_PORT
from soe_auth.settings.spec import TABLE
from soe_auth.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from soe_auth.settings.settings import Settings

_LIBRARIES = ("aiohttp", "httpx", "truststore", "platformdirs", "tomlkit")


def look_at_versions(libraries: Sequence[str] = _LIBRARIES) -> Iterator[Finding]:
    """Say what runs here, as anybody who is to help asks first."""
    yield ok(
        "versions",
        f"soe-auth {__version__}, Python {platform.python_version()},"
        f" {platform.system()} {platform.release()} {platform.machine()}",
    )
    missing, found = [], []
    for library in libraries:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            if find_spec(library):  # in a zip or a frozen program, which say no version
                found.append(library)
            else:
                missing.append(library)
    if found:
        yield ok("versions", ", ".join(found))
    if missing:
        yield warning("versions", f"not installed: {', '.join(missing)}", "Install soe-auth again.")


def look_at_profile(settings: Settings) -> Iterator[Finding]:
    """Say which profile is used, and whether it has all that a login needs."""
    kept = "as remembered" if settings.known else "not remembered yet"
    yield ok("settings", f"profile {settings.profile}, {kept}")
    try:
        _ = settings.require_site_and_client
    except SettingsError as problem:
        # Without a client ID, the rest can be looked at all the same.
        yield (
            warning("settings", str(problem), problem.hint)
            if settings.site
            else from_error("settings", problem)
        )


def look_at_values(settings: Settings) -> Iterator[Finding]:
    """Say every value that is not the default, and where it comes from."""
    for setting in TABLE:
        if settings.origins[setting.key] != "default":
            said = setting.text(getattr(settings, setting.key))
            yield ok("settings", f"{setting.key} is {said} (from {settings.place(setting.key)})")


def look_at_place(
    environ: Mapping[str, str], port: int | None, root: Path | str = ROOT
) -> Iterator[Finding]:
    """Say what kind of place this is, as a login sees it; `port` is the fixed one, if there is."""
    place = detect(environ, root)
    if place.remote_reason is None:
        yield ok("place", "this machine itself, as far as can be seen")
    elif place.forwards:
        yield ok("place", f"{place.remote_reason}: {place.advice}")
    else:
        todo = "A login shows the addresses, and takes the one that you paste."
        if place.ssh and not place.unattended:
            number = port or EXAMPLE_PORT
            todo += (
                f" Or type `ssh -L {number}:localhost:{number} {place.ssh}` on your own machine,"
                f" and log in with --port {number}."
            )
        yield warning("place", f"{place.remote_reason}: {place.advice}", todo)


def look_at_browser(
    chosen: str | None, origin: str, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Say which command would open the browser, and who chose it."""
    command = find_browser(chosen, environ)
    if command is None and opens_by_itself(chosen, environ):
        yield ok("browser", "the one that Windows has for web addresses")
    elif command is None and chosen:
        yield error(
            "browser",
            SettingsError,
            f"{chosen} (from {origin}) is not there, or is a browser for the terminal",
            "Name a command that is there, or take the setting away for the desktop's own.",
        )
    elif command is None:
        yield warning(
            "browser",
            "there is none that could be started here",
            "A login shows the addresses; open one yourself, or name a command with --browser.",
        )
    else:
        others = {name: value for name, value in environ.items() if name != "BROWSER"}
        who = origin if chosen else "BROWSER"
        if not chosen and find_browser(None, others) == command:
            who = "the desktop's own"
        yield ok("browser", f"{' '.join(command)} ({who})")

"""Checks that need nothing but this process: versions, settings, environment, browser."""

import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from soe_auth.desktop.browser import find_browser, has_default_browser
from soe_auth.desktop.detect import ROOT
from soe_auth.desktop.environment import detect
from soe_auth.doctor.finding import Finding, from_error
from soe_auth.errors import SettingsError
from soe_auth.settings.settings import EXAMPLE_PORT, Settings
from soe_auth.settings.spec import TABLE
from soe_auth.version import __version__

_LIBRARIES = ("aiohttp", "httpx", "truststore", "platformdirs", "tomlkit")


def check_versions(libraries: Sequence[str] = _LIBRARIES) -> Iterator[Finding]:
    """Report the versions of soe-auth, Python, the system and the libraries."""
    yield Finding(
        "versions",
        "ok",
        f"soe-auth {__version__}, Python {platform.python_version()},"
        f" {platform.system()} {platform.release()} {platform.machine()}",
    )
    missing: list[str] = []
    found: list[str] = []
    for library in libraries:
        try:
            found.append(f"{library} {version(library)}")
        except PackageNotFoundError:
            # In a zip or a frozen program, libraries have no metadata.
            (found if find_spec(library) else missing).append(library)
    if found:
        yield Finding("versions", "ok", ", ".join(found))
    if missing:
        says = f"not installed: {', '.join(missing)}"
        yield Finding("versions", "warning", says, "Install soe-auth again.")


def check_profile(settings: Settings) -> Iterator[Finding]:
    """Report the profile, and a missing site or client ID."""
    stored = "in config.toml" if settings.known else "not in config.toml"
    yield Finding("settings", "ok", f"profile {settings.profile}, {stored}")
    try:
        settings.require_site_and_client()
    except SettingsError as problem:
        # Without a client ID, the other checks still work.
        yield (
            Finding("settings", "warning", str(problem), problem.hint)
            if settings.site
            else from_error("settings", problem)
        )


def list_values(settings: Settings) -> Iterator[Finding]:
    """Report each value that is not the default, and its origin."""
    for setting in TABLE:
        if settings.origins[setting.key] != "default":
            value = setting.text(getattr(settings, setting.key))
            says = f"{setting.key} = {value} (from {settings.place(setting.key)})"
            yield Finding("settings", "ok", says)


def check_environment(
    environ: Mapping[str, str], port: int | None, root: Path | str = ROOT
) -> Iterator[Finding]:
    """Report an SSH session, a container and the like; `port` is the fixed port, if any."""
    found = detect(environ, root)
    if found.remote_reason is None:
        yield Finding("place", "ok", "local: no SSH session, container or CI job")
    elif found.forwards:
        yield Finding("place", "ok", f"{found.remote_reason}: {found.advice}")
    else:
        todo = "A login prints its URL. Open it on your own machine, and paste the last address."
        if found.ssh and not found.unattended:
            number = port or EXAMPLE_PORT
            todo += (
                f" Or type `ssh -L {number}:localhost:{number} {found.ssh}` on your own machine,"
                f" and log in with --port {number}."
            )
        yield Finding("place", "warning", f"{found.remote_reason}: {found.advice}", todo)


def check_browser(chosen: str | None, origin: str, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Report the command that opens the browser, and its origin."""
    if command := find_browser(chosen, environ):
        if not chosen:
            without = {name: value for name, value in environ.items() if name != "BROWSER"}
            is_default = find_browser(None, without) == command
            origin = "desktop default" if is_default else "BROWSER"
        yield Finding("browser", "ok", f"{' '.join(command)} ({origin})")
    elif has_default_browser(chosen, environ):
        yield Finding("browser", "ok", "default browser of Windows")
    elif chosen:
        says = f"cannot use {chosen} (from {origin}): not found, or a text browser"
        todo = "Name another command, or remove the setting to use the desktop's default."
        yield Finding("browser", "error", says, todo, SettingsError)
    else:
        todo = "A login prints its URL. Open it yourself, or name a command with --browser."
        yield Finding("browser", "warning", "none found", todo)

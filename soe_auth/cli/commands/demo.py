"""See a whole login happen: a practice site is started, and you sign in to it for real.

Your own settings and tokens are not touched. Where no browser can be shown, the demo walks through
the pages itself, as the browser.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from subprocess import list2cmdline
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from soe_auth.actions.get_token import from_store
from soe_auth.cli.options import open_profile_store
from soe_auth.desktop.browser import find_browser, has_default_browser
from soe_auth.model.site import VENDOR_DOMAIN
from soe_auth.sandbox import running
from soe_auth.settings import CONFIG_DIR_VARIABLE, PROFILE_VARIABLE, VARIABLE_PREFIX
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import STORE
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from soe_auth.cli.console import Console
    from soe_auth.settings.settings import Settings
    from soe_auth.storage import Store


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--browser", metavar="COMMAND", help="the command that opens a URL")


def run(args: argparse.Namespace, console: Console) -> int:
    """Show a login, step by step; the exit code is that of its login, then of its log-out."""

    def narrate(sentence: str) -> None:
        console.say(f"    site: {sentence}")

    with TemporaryDirectory(prefix="soe-auth-demo-") as directory:
        environ = _environ_of_its_own(console.environ, Path(directory))
        browser = _browser(args.browser, console)
        console.say("1. A practice site starts on this machine. Nothing on it is real.")
        with running(narrate=narrate, strict=True) as site:
            console.say(f"   It is {site.url}. Its application 110 may send browsers back here.")
            console.say("\n2. One command signs in. Pick any account, and approve.")
            login = ["login", "--site", site.url, "--client-id", "110"]
            if code := _soe_auth(login, environ, console, browser=browser):
                return code
            console.say(
                "\n3. The token is kept for this user, and tools can ask how long it is good."
            )
            _soe_auth(["status"], environ, console)
            console.say("\n4. Any tool takes it from there, and calls the site's API with it.")
            settings = resolve({}, environ=environ)
            console.say("   $ soe-auth token --format curl --for users/me | curl -fsS -K -")
            name = run_async(_whoami(settings, open_profile_store(settings, console)))
            console.say(f"   The API answers: you are {name}.")
            console.say("\n5. Logging out ends the token on the site, and removes it here.")
            code = _soe_auth(["logout"], environ, console)
    console.say(
        "\nThat was all of it, and nothing of it is left. With your own site:\n"
        f"   soe-auth login --site NAME.{VENDOR_DOMAIN} --client-id ID"
    )
    return code


def _environ_of_its_own(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return the environment with settings of the demo's own, so that the user's stay untouched."""
    foreign = {name: text for name, text in environ.items() if not name.startswith(VARIABLE_PREFIX)}
    own = {CONFIG_DIR_VARIABLE: str(directory), PROFILE_VARIABLE: "demo", STORE.variable: "file"}
    return {**foreign, **own}


def _browser(chosen: str | None, console: Console) -> str | None:
    """Return the browser command to give to `login`; None for the desktop's own."""
    environ = console.environ
    if chosen or find_browser(None, environ) or has_default_browser(None, environ):
        return chosen
    console.say("There is no browser to show here, so the demo walks through the pages itself.\n")
    scripted = [sys.executable, "-P", "-m", "soe_auth.sandbox.scripted_browser"]
    return list2cmdline(scripted) if sys.platform == "win32" else shlex.join(scripted)


def _soe_auth(
    argv: list[str],
    environ: Mapping[str, str],
    console: Console,
    *,
    browser: str | None = None,
) -> int:
    """Run one of our commands as a person would, and show it; the browser is left unmentioned."""
    from soe_auth.cli.main import main

    console.say(f"   $ soe-auth {shlex.join(argv)}")
    return main([*argv, "--browser", browser] if browser else argv, environ)


async def _whoami(settings: Settings, store: Store) -> str:
    site, _ = settings.require_site_and_client
    token = from_store(settings, store, now=time.time())
    async with connect(site, network=settings.network) as connection:
        name = await connection.account_name(token.access_token)
    return name or "an account that it does not name"

"""Watch a whole login: a sandbox starts, and you sign in to it.

Your own settings and tokens are not touched. If no browser can be shown here, a script acts as the
browser.

For example:
  soe-auth demo
"""

import argparse
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from tempfile import TemporaryDirectory

from soe_auth.actions.get_token import from_store
from soe_auth.actions.login_io import LoginIO
from soe_auth.cli.console import Console
from soe_auth.cli.options import open_profile_store
from soe_auth.desktop.browser import find_browser, has_default_browser
from soe_auth.desktop.environment import Environment
from soe_auth.desktop.process import without_own_variables
from soe_auth.model.site import VENDOR_DOMAIN
from soe_auth.sandbox import running
from soe_auth.sandbox.scripted_browser import scripted_browser_command
from soe_auth.settings import CONFIG_DIR_VARIABLE, PROFILE_VARIABLE
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import STORE
from soe_auth.site_client.client import connect
from soe_auth.site_client.event_loop import run_async


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--browser", metavar="COMMAND", help="the command that opens a URL")


def run(args: argparse.Namespace, console: Console) -> int:
    """Show a login step by step; the exit code is that of the login, or else of the logout."""
    browser, is_scripted = args.browser, False
    if not (
        browser or find_browser(None, console.environ) or has_default_browser(None, console.environ)
    ):
        console.say("There is no browser to show here, so a script acts as the browser.\n")
        browser, is_scripted = scripted_browser_command(), True
    with TemporaryDirectory(prefix="soe-auth-demo-") as directory:
        environ = {
            **without_own_variables(console.environ),
            CONFIG_DIR_VARIABLE: directory,
            PROFILE_VARIABLE: "demo",
            STORE.variable: "file",
        }
        console.say("1. A sandbox starts on this machine: an SOE site without real data.")
        with running(narrate=lambda text: console.say(f"    site: {text}"), strict=True) as site:
            console.say(f"   It is {site.url}. Its application 110 has the Domain localhost.")
            choose = "The script chooses" if is_scripted else "Choose"
            console.say(f"\n2. One command signs in. {choose} an account, then Approve.")
            login = ["login", "--site", site.url, "--client-id", "110"]
            hidden = ["--browser", browser] if browser else []
            shown = _without_browser if is_scripted else lambda io: io
            if code := _soe_auth(login, environ, console, hidden, shown):
                return code
            code = _use_token_and_log_out(environ, console)
    console.say(
        "\nThe demo is over, and its files are deleted. With your own site:\n"
        f"   soe-auth login --site NAME.{VENDOR_DOMAIN} --client-id ID"
    )
    return code


def _use_token_and_log_out(environ: Mapping[str, str], console: Console) -> int:
    console.say("\n3. The token is stored for this user. Any tool can see when it expires.")
    _soe_auth(["status"], environ, console)
    console.say("\n4. Any tool can read it, and call the site's API.")
    console.say("   $ soe-auth token --format curl --for users/me | curl -fsS -K -")
    name = run_async(_account_name(environ, console))
    console.say(f"   The API answers: you are {name}.")
    console.say("\n5. Logging out revokes the token on the site, and deletes it here.")
    return _soe_auth(["logout"], environ, console)


def _soe_auth(
    argv: Sequence[str],
    environ: Mapping[str, str],
    console: Console,
    hidden: Sequence[str] = (),
    accelerate: Callable[[LoginIO], LoginIO] = lambda io: io,
) -> int:
    """Show a command and run it, with further options that are not shown."""
    from soe_auth.cli.main import main

    console.say(f"   $ soe-auth {shlex.join(argv)}")
    return main([*argv, *hidden], environ, accelerate=accelerate)


def _without_browser(io: LoginIO) -> LoginIO:
    """Hide a login's messages about the browser, as none is shown."""

    def announce(text: str) -> None:
        if not text.startswith("Opening "):
            io.announce(text)

    return replace(io, announce=announce, environment=Environment(None))


async def _account_name(environ: Mapping[str, str], console: Console) -> str:
    settings = resolve({}, environ=environ)
    site, _ = settings.require_site_and_client()
    token = from_store(settings, open_profile_store(settings, console), now=time.time())
    async with connect(site, network=settings.network) as connection:
        name = await connection.account_name(token.access_token)
    return name or "an account without a name"

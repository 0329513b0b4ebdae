"""Run a practice site on this machine: an SOE to sign in to, with nothing real behind it.

It takes what a real site takes of other clients, and says what of it is bad style; --strict refuses
that. The switches make it answer oddly, slowly or not at all, to test a tool.
Ctrl-C ends it.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

from soe_auth.cli.options import read_option
from soe_auth.errors import SettingsError
from soe_auth.loopback.sockets import describe_bind_error
from soe_auth.model.duration import parse_duration
from soe_auth.model.network import read_port
from soe_auth.sandbox import (
    ACCOUNT_ANSWERS,
    API_ANSWERS,
    DOMAIN_RULES,
    INVALIDATE_ANSWERS,
    ISSUERS,
    REFUSALS,
    TOKEN_ANSWERS,
    Quirks,
    Sandbox,
)

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console

_SWITCHES = {
    "token": ("the token endpoint", TOKEN_ANSWERS),
    "account": ("the account look-up", ACCOUNT_ANSWERS),
    "api": ("the lists of the API", API_ANSWERS),
    "invalidate": ("the call that ends a token", INVALIDATE_ANSWERS),
    "refusal": ("a person's refusal", REFUSALS),
    "issuer": ("the redirect's iss", ISSUERS),
}
_ABOUT_CA = """\
Its certificate was issued by the CA in
  {0}
Tell soe-auth so by SOE_AUTH_CA_BUNDLE, others by SSL_CERT_FILE, REQUESTS_CA_BUNDLE or
NODE_EXTRA_CA_CERTS: each wants the name of that file.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--port", metavar="PORT", default="0", help="default: any free one")
    parser.add_argument(
        "--lifetime", metavar="SPAN", default="24h", help="how long tokens live; default: 24h"
    )
    parser.add_argument(
        "--delay", metavar="SPAN", default="3s", help="of the slow answers; default: 3s"
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse what the vendor's guide does not have"
    )
    parser.add_argument(
        "--domain-rule",
        choices=DOMAIN_RULES,
        metavar="RULE",
        default="any",
        help="the Domains that its form takes: any, or those with a top-level domain (tld)",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="speak https; needs the library trustme, of the extra tls",
    )
    for switch, (what, answers) in _SWITCHES.items():
        parser.add_argument(
            f"--{switch}", choices=answers, metavar="HOW", default=next(iter(answers)), help=what
        )
    parser.epilog = "\n\n".join(
        f"how {what} answers (--{switch}):\n"
        + "\n".join(f"  {name:26}{does}" for name, does in answers.items())
        for switch, (what, answers) in _SWITCHES.items()
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Serve until the person ends it."""
    port = read_option("port", read_port, args.port)
    lifetime = read_option("lifetime", _lifetime, args.lifetime)
    quirks = Quirks(
        delay=read_option("delay", parse_duration, args.delay),
        **{switch: getattr(args, switch) for switch in _SWITCHES},
    )

    def narrate(sentence: str) -> None:
        console.say(f"{time.strftime('%H:%M:%S')}  {sentence}")

    site = Sandbox(
        port=port,
        domain_rule=args.domain_rule,
        strict=args.strict,
        lifetime=int(lifetime),
        quirks=quirks,
        narrate=narrate,
        tls=args.tls,
    )
    # Ctrl-C is how it is meant to end, without the hurry that other commands are in: see __main__.
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler)
    try:
        return asyncio.run(_serve(site, console))
    except KeyboardInterrupt:
        console.say("The practice site is closed.")
        return 0
    except ImportError:
        raise SettingsError(
            "Cannot speak TLS: the library trustme is not installed.",
            hint="Install trustme beside soe-auth, or leave --tls out.",
        ) from None
    except OSError as problem:
        raise SettingsError(
            f"port (from --port): {port} cannot be had: {describe_bind_error(problem)}.",
            hint="Choose another, or leave --port out for any free one.",
        ) from None


async def _serve(site: Sandbox, console: Console) -> int:
    async with site:
        console.result(
            f"The practice site is {site.url}\n"
            f"{_ABOUT_CA.format(site.ca_file) if site.ca_file else ''}"
            "Try:\n"
            f"  {site.login_command}\n"
            "Ctrl-C ends it, and with it all that was done on it."
        )
        forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await forever


def _lifetime(text: str) -> float:
    if seconds := parse_duration(text):
        return seconds
    raise ValueError("a token needs some time to live")

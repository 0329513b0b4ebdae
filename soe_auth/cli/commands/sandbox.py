"""Run a sandbox on this machine: an SOE site for tests, without real data.

It accepts the requests that a real site accepts, and reports each that differs from the vendor's
guide; --strict refuses those. To test a tool, a quirk makes it answer wrongly, slowly or not at
all. Ctrl-C stops it.

For example:
  soe-auth sandbox --port 7700
  soe-auth sandbox --help quirks
  soe-auth sandbox --token server-error
"""

import argparse
import asyncio
import signal
import time
from collections.abc import Sequence

from soe_auth.cli.console import Console
from soe_auth.cli.help_format import Help
from soe_auth.cli.options import read_option
from soe_auth.cli.streams import write_stdout
from soe_auth.errors import SettingsError
from soe_auth.loopback.sockets import describe_bind_error
from soe_auth.model.duration import parse_duration, parse_positive_duration
from soe_auth.model.network import read_port
from soe_auth.sandbox import DOMAIN_RULES, Quirks, Sandbox, list_quirks

_ABOUT_CA = """\
Its certificate was issued by the CA in
  {0}
Give that file to soe-auth in SOE_AUTH_CA_BUNDLE, to others in SSL_CERT_FILE,
REQUESTS_CA_BUNDLE or NODE_EXTRA_CA_CERTS.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "-h",
        "--help",
        action=_Help,
        nargs="?",
        choices=["quirks"],
        metavar="quirks",
        help="show this help, or the values of HOW, and exit",
    )
    parser.add_argument("--port", metavar="PORT", default="0", help="default: any free port")
    parser.add_argument(
        "--lifetime",
        metavar="DURATION",
        default="24h",
        help="how long its tokens are valid; default: 24h",
    )
    parser.add_argument(
        "--delay", metavar="DURATION", default="3s", help="how long slow answers take; default: 3s"
    )
    parser.add_argument(
        "--strict", action="store_true", help="refuse requests that differ from the vendor's guide"
    )
    parser.add_argument(
        "--domain-rule",
        choices=DOMAIN_RULES,
        metavar="RULE",
        default="any",
        help="the Domains that its form accepts: any, or tld for those with a top-level domain;"
        " default: any",
    )
    parser.add_argument(
        "--tls", action="store_true", help="serve https; needs the extra tls of soe-auth"
    )
    for name, changes, values in list_quirks():
        default = next(iter(values))
        parser.add_argument(
            f"--{name}",
            choices=values,
            metavar="HOW",
            default=default,
            help=f"quirk of {changes}; default: {default}",
        )


class _Help(argparse.Action):
    """Print the help, or the list of the quirks, and exit."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[str] | None,
        option_string: str | None = None,
    ) -> None:
        del namespace, option_string
        text = parser.format_help()
        if values:
            page = Help(parser.prog)
            for name, changes, quirks in list_quirks():
                lines = (f"  {value:26}{does}" for value, does in quirks.items())
                page.add_text("\n".join([f"--{name}, {changes}:", *lines]))
            text = page.format_help()
        write_stdout(text, end="")
        parser.exit()


def run(args: argparse.Namespace, console: Console) -> int:
    """Serve until Ctrl-C."""
    port = read_option("port", read_port, args.port)
    site = Sandbox(
        port=port,
        domain_rule=args.domain_rule,
        strict=args.strict,
        lifetime=int(read_option("lifetime", parse_positive_duration, args.lifetime)),
        quirks=Quirks(
            delay=read_option("delay", parse_duration, args.delay),
            **{name: getattr(args, name) for name, _, _ in list_quirks()},
        ),
        narrate=lambda sentence: console.say(f"{time.strftime('%H:%M:%S')}  {sentence}"),
        tls=args.tls,
    )
    # Ctrl-C is the usual end here; the handler of `cli.signals` would skip the cleanup.
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.default_int_handler)
    try:
        return asyncio.run(_serve(site, console))
    except KeyboardInterrupt:
        console.say("The sandbox is closed.")
        return 0
    except ImportError:
        raise SettingsError(
            "Cannot serve https: the library trustme is not installed.",
            hint="Install trustme in the environment of soe-auth, or leave --tls out.",
        ) from None
    except OSError as problem:
        raise SettingsError(
            f"Cannot bind port {port} from --port: {describe_bind_error(problem)}.",
            hint="Choose another port, or leave --port out for any free one.",
        ) from None


async def _serve(site: Sandbox, console: Console) -> int:
    async with site:
        console.result(
            f"The sandbox is {site.url}\n"
            f"{_ABOUT_CA.format(site.ca_file) if site.ca_file else ''}"
            f"Try:\n  {site.login_command}\n"
            "Ctrl-C stops it, and deletes everything that was done on it."
        )
        forever: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        return await forever

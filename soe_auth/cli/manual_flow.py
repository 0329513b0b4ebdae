"""What the steps by hand share: the redirect URI and the state, as they have no listener."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.cli.options import read_option
from soe_auth.model.secret import Secret
from soe_auth.oauth.authorization_request import login_success_uri, read_redirect_uri

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from soe_auth.model.site import Site


def add_redirect_uri(parser: argparse.ArgumentParser) -> None:
    """Give the parser the option."""
    parser.add_argument(
        "--redirect-uri",
        metavar="URI",
        help="where the site sends the browser, the same in every step; default: its own page"
        " /oauth/login_success",
    )


def given_redirect_uri(site: Site, args: argparse.Namespace) -> str:
    """Return the redirect URI that was given, or that of the site's own page."""
    uri = args.redirect_uri or login_success_uri(site)
    return read_option("redirect_uri", read_redirect_uri, uri)


def given_state(environ: Mapping[str, str]) -> Secret | None:
    """Return the state that SOE_AUTH_STATE holds, if it is set."""
    return Secret(environ["SOE_AUTH_STATE"]) if environ.get("SOE_AUTH_STATE") else None

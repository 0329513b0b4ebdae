"""What the steps by hand share: the redirect URI, as they have no listener of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.errors import SettingsError
from soe_auth.protocol import login_success_uri, read_redirect_uri

if TYPE_CHECKING:
    import argparse

    from soe_auth.site import Site


def add_redirect_uri(parser: argparse.ArgumentParser) -> None:
    """Give the parser the option."""
    parser.add_argument(
        "--redirect-uri",
        metavar="URI",
        help="where the site sends the browser, the same in every step; default: its own page"
        " /oauth/login_success",
    )


def redirect_uri_for(site: Site, args: argparse.Namespace) -> str:
    """Return the redirect URI that was given, or that of the site's own page."""
    try:
        return read_redirect_uri(args.redirect_uri or login_success_uri(site))
    except ValueError as problem:
        raise SettingsError(f"redirect_uri (from --redirect-uri): {problem}.") from None

"""The TLS context: which certificates are trusted."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING

import truststore

from soe_auth.errors import SettingsError
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from soe_auth.model.network import Network

_LONGEST_PATH = 400  # as it is shown
_BUNDLE_HINT = "Name a file in ca_bundle that holds the CAs to believe, in PEM, or leave it out."


def ssl_context(network: Network) -> ssl.SSLContext:
    """Return the TLS context that believes the CAs of `ca_bundle`, or else those of the system.

    Raises SettingsError where that file cannot be read, or has no certificate in it.
    """
    if network.ca_bundle is None:
        return _of_the_system()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # A user who names a file trusts what is in it, be it a root or not; so does curl.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    problem = "holds no certificate in PEM, or a broken one"
    try:
        context.load_verify_locations(cafile=network.ca_bundle)
    except ssl.SSLError:
        pass
    except (OSError, ValueError) as fault:  # ValueError: no path can be like that
        problem = f"cannot be read: {getattr(fault, 'strerror', None) or 'it is no path'}"
    else:
        if context.cert_store_stats()["x509"]:  # there may be nothing but revocation lists
            return context
    path = printable(str(network.ca_bundle), _LONGEST_PATH)
    raise SettingsError(f"ca_bundle {path} {problem}.", hint=_BUNDLE_HINT)


def _of_the_system() -> ssl.SSLContext:
    """Return a context that believes whom the system believes.

    Where OpenSSL finds a file of CAs, they are read here, once, while a person is away: truststore
    would read the same file for each connection, which takes 20 ms after the redirect.
    """
    if sys.platform not in {"darwin", "win32"}:  # pragma: no branch - they have other stores
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        if context.cert_store_stats()["x509"]:
            return context
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

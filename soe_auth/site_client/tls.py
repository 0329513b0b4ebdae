"""Make the TLS context: which certificates are trusted."""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING

import truststore

from soe_auth.errors import SettingsError
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from soe_auth.model.network import Network

_MAX_PATH = 400  # characters in the message


def ssl_context(network: Network) -> ssl.SSLContext:
    """Return a TLS context that trusts the CAs of `ca_bundle`, or those of the system.

    Raises SettingsError if that file cannot be read, or holds no certificate.
    """
    if network.ca_bundle is None:
        return _system_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Any certificate in the file is trusted, even if it is not a root, as by curl.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    problem = "it has no valid certificate in PEM"
    try:
        context.load_verify_locations(cafile=network.ca_bundle)
    except ssl.SSLError:
        pass
    except (OSError, ValueError) as error:  # ValueError: an impossible path
        problem = getattr(error, "strerror", None) or "it is not a path"
    else:
        if context.cert_store_stats()["x509"]:  # the file may hold revocation lists only
            return context
    path = printable(str(network.ca_bundle), _MAX_PATH)
    raise SettingsError(
        f"Cannot use ca_bundle {path}: {problem}.",
        hint="Set ca_bundle to a PEM file with the CAs to trust, or remove the setting.",
    )


def _system_context() -> ssl.SSLContext:
    """Return a context that trusts the CAs of the system.

    If OpenSSL finds a file of CAs, it is read here, once, while the user is in the browser.
    truststore would read it for each connection: 20 ms after the redirect.
    """
    if sys.platform not in {"darwin", "win32"}:  # pragma: no branch - they have other stores
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_default_certs()
        if context.cert_store_stats()["x509"]:
            return context
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

"""PKCE: the code verifier, drawn as the state is, and its S256 challenge (RFC 7636)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Callable

from soe_auth.model.secret import Secret

Entropy = Callable[[int], bytes]

# 256 bits: RFC 7636 section 7.1 for the verifier, RFC 8252 section 8.9 for the state.
_SECRET_BYTES = 32


def draw(entropy: Entropy) -> Secret:
    """Draw 256 bits, written as 43 unreserved characters (RFC 7636 section 4.1)."""
    return Secret(_base64url(entropy(_SECRET_BYTES)))


def challenge_of(code_verifier: Secret) -> str:
    """Return the S256 code challenge (RFC 7636 section 4.2)."""
    from hashlib import sha256  # loads OpenSSL, which the way to the browser does not need

    return _base64url(sha256(code_verifier.reveal().encode("ascii")).digest())


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")  # RFC 7636 appendix A: no padding

"""By hand, step 1: make a code verifier and its S256 code challenge (RFC 7636).

The verifier is a secret: keep it for `soe-auth exchange`. The challenge goes into `soe-auth url`.

For example:
  soe-auth pkce
"""

import argparse
import json
import os

from soe_auth.cli.console import Console
from soe_auth.model.secret import Secret
from soe_auth.oauth.authorization_request import Entropy, challenge_of, draw_secret


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--json", action="store_true", help="print them as JSON")


def run(args: argparse.Namespace, console: Console) -> int:
    """Print a new pair."""
    code_verifier, code_challenge = draw_pair(os.urandom)
    pair = {
        "code_verifier": code_verifier.reveal(),
        "code_challenge": code_challenge,
        "code_challenge_method": "S256",
    }
    lines = "\n".join(f"{name}={value}" for name, value in pair.items())
    console.result(json.dumps(pair, indent=2) if args.json else lines)
    return 0


def draw_pair(entropy: Entropy) -> tuple[Secret, str]:
    """Draw a pair whose challenge does not begin with a dash, as an option would."""
    while True:
        code_verifier = draw_secret(entropy)
        code_challenge = challenge_of(code_verifier)
        if not code_challenge.startswith("-"):
            return code_verifier, code_challenge

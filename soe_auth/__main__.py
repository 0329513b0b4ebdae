"""`python -m soe_auth` is `soe-auth`."""

from soe_auth.cli import entry_point

entry_point()

"""`python -m soe_auth` is `soe-auth`."""

from soe_auth.cli import entry_point

if __name__ == "__main__":
    entry_point()

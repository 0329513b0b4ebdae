"""Phrases that are hard to read do not stand in the code and its pages."""

import re

from docs_parser import PACKAGE, PAGES

BANNED = re.compile(
    r"\b(can be had|in vain|anew|comes to no token|of ours|has a say|whoever|nobody|somebody)\b"
)


def test_no_banned_phrase_is_used() -> None:
    found = {
        str(path): BANNED.findall(" ".join(path.read_text(encoding="utf-8").lower().split()))
        for path in [*PAGES, *PACKAGE.rglob("*.py")]
    }
    assert not {path: phrases for path, phrases in found.items() if phrases}


def test_no_line_installs_soe_auth_by_its_name_from_an_index() -> None:
    by_name = re.compile(
        r"\b(?:install|uvx|uv add|pipx run) [^\n`]*(?<![\w/.-])soe-auth(?:\[|[\"']?$|==)",
        re.MULTILINE,
    )
    found = [
        match[0]
        for path in [*PAGES, *PACKAGE.rglob("*.py")]
        for match in by_name.finditer(path.read_text(encoding="utf-8"))
        if "--no-index" not in match[0]
    ]
    assert not found  # who registers the name there would be handed our users

"""Phrases that are hard to read become fewer in the code and its pages, until there are none."""

import re

from docs_parser import PACKAGE, PAGES

BANNED = re.compile(
    r"\b(can be had|in vain|anew|comes to no token|of ours|has a say|whoever|nobody|somebody)\b"
)

# How often they occur. The number may only fall.
OCCURRENCES = 207


def test_banned_phrases_become_fewer() -> None:
    found = {
        str(path): len(BANNED.findall(" ".join(path.read_text(encoding="utf-8").lower().split())))
        for path in [*PAGES, *PACKAGE.rglob("*.py")]
    }
    worst = sorted(((count, path) for path, count in found.items() if count), reverse=True)
    assert sum(found.values()) <= OCCURRENCES, worst

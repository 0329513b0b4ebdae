"""The README as a package index shows it, where the paths in it would lead nowhere.

hatchling asks for it when it builds. Pictures are left out, and of a link into the repository there
are its words and, in their place, the path.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class LongDescription(MetadataHookInterface):
    """What hatchling looks for in this file."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the text to the metadata."""
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": by_itself(readme)}


def by_itself(markdown: str) -> str:
    """Return a page without what leads away from it by a relative path."""
    # Every second part is a block of code, which stays as it is.
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    parts[::2] = [_without_paths(part) for part in parts[::2]]
    return "".join(parts)


def _without_paths(markdown: str) -> str:
    pictures = r"<picture>.*?</picture>|<img [^>]*>|!\[[^]]*\]\([^)]*\)"
    text = re.sub(pictures, "", markdown, flags=re.DOTALL)
    text = re.sub(r"\[([^]]+)\]\((?![a-z]+:)([^)#]*)[^)]*\)", _words, text)
    return re.sub(r"\n{3,}", "\n\n", text)


def _words(link: re.Match[str]) -> str:
    words, path = link.groups()
    return words if path in {"", words} else f"{words} (`{path}`)"

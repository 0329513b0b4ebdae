"""What a package index shows: the README, and links to where the repository is.

hatchling asks for it when it builds. The paths in the README would lead nowhere there: pictures are
left out, and of a link into the repository there are its words and, in their place, the path. Which
repository it is, SOE_AUTH_REPOSITORY says, as in the release workflow; else there are no links.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class IndexPage(MetadataHookInterface):
    """What hatchling looks for in this file."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the text and the links to the metadata."""
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": by_itself(readme)}
        if repository := os.environ.get("SOE_AUTH_REPOSITORY"):
            at_the_tag = f"{repository}/blob/v{metadata['version']}"
            metadata["urls"] = {
                "Source": repository,
                "Documentation": f"{at_the_tag}/docs/index.md",
                "Changelog": f"{at_the_tag}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }


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

"""Make the text of a package index: the README, and links to the repository.

hatchling calls this when it builds. Relative links do not work on an index: pictures are removed,
and a link into the repository becomes its text and the path. SOE_AUTH_REPOSITORY names the
repository, as in the release workflow; without it there are no links.
"""

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class IndexPage(MetadataHookInterface):
    """The hook that hatchling finds in this file."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the text and the links to the metadata."""
        readme = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": without_relative_links(readme),
        }
        if repository := os.environ.get("SOE_AUTH_REPOSITORY"):
            at_the_tag = f"{repository}/blob/v{metadata['version']}"
            metadata["urls"] = {
                "Source": repository,
                "Documentation": f"{at_the_tag}/docs/index.md",
                "Changelog": f"{at_the_tag}/CHANGELOG.md",
                "Issues": f"{repository}/issues",
            }


def without_relative_links(markdown: str) -> str:
    """Return a page without pictures and relative links."""
    # Every second part is a code block, which is not changed.
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

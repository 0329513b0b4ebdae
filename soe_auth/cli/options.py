"""Options that several commands share, made of the table of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.settings import Paths, Setting, Settings, resolve
from soe_auth.store import FileStore

if TYPE_CHECKING:
    import argparse
    from typing import Any

    from soe_auth.cli.console import Console


def add_settings(parser: argparse.ArgumentParser, *settings: Setting[Any]) -> None:
    """Give the parser a flag for each setting; values stay text until they are resolved."""
    for setting in settings:
        parser.add_argument(
            setting.flag,
            metavar=setting.key.upper(),
            dest=f"setting_{setting.key}",
            help=setting.help,
        )


def resolve_settings(args: argparse.Namespace, console: Console) -> Settings:
    """Resolve the settings with the flags that were given, telling what was cut off a site."""
    flags = {
        name.removeprefix("setting_"): value
        for name, value in vars(args).items()
        if name.startswith("setting_") and value is not None
    }
    settings = resolve(flags, profile=args.profile, environ=console.environ)
    if settings.site and settings.site.surplus:
        console.say(f"The site is {settings.site}; “{settings.site.surplus}” was left out.")
    return settings


def open_store(paths: Paths, console: Console) -> FileStore:
    """Open the token store beside the user's config.toml."""
    return FileStore(paths.directory, report=console.say)

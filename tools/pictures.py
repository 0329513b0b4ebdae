"""Make the pictures of the README from the product: python tools/pictures.py.

The terminal is tmux with a shell, the browser Chromium, and the site a sandbox. Text that differs
each time, such as the address of a login, is not changed. `--words` prints the text of the terminal
instead, so that a test can check whether the pictures are current.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from soe_auth.sandbox import running
from soe_auth.sandbox.scripted_browser import scripted_browser_command

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.sandbox import Sandbox

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SITE_PORT, HOME = 7700, Path("/home/you")  # as on the pages
COLUMNS, ROWS = 80, 40
PATIENCE = 60.0

COMMANDS = (
    "soe-auth login --site {site} --client-id 110",
    "soe-auth status",
    "soe-auth logout",
    "soe-auth token",
)

# A picture is shown without the fonts of its page, and must load none.
SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 aria-label="A terminal: soe-auth login, status, logout, and token without a token">
<style>
text {{ font: {char_height}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace }}
{styles}
</style>
<defs>{lines}</defs>
<rect width="100%" height="100%" rx="8" fill="BACKGROUND"/>
<g transform="translate({terminal_x}, 25)">{backgrounds}{matrix}</g>
</svg>
"""


def theme(background: str, foreground: str, red: str) -> TerminalTheme:
    """Return the colours of a terminal; red is the only one that `soe-auth` uses."""

    def rgb(colour: str) -> tuple[int, int, int]:
        parts = bytes.fromhex(colour)
        return parts[0], parts[1], parts[2]

    normal = [rgb(foreground)] * 8
    normal[1] = rgb(red)
    return TerminalTheme(rgb(background), rgb(foreground), normal)


# The colours of soe_auth/loopback/page.css.
THEMES = {"light": theme("f3f5f4", "1d2523", "a3341a"), "dark": theme("1c2322", "e6ecea", "f0a183")}


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a user with that home directory, without the caller's variables."""
    return {
        "HOME": str(home),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        # The browser is on the same machine, even if this runs in a container.
        "container": "flatpak",
    }


# --- the terminal ---


class Terminal:
    """A shell in tmux; `type` waits for the next prompt."""

    def __init__(self, home: Path, socket: Path) -> None:
        self._tmux = ("tmux", "-S", str(socket))
        self._environ = {
            **environment(home),
            "BROWSER": scripted_browser_command(),
            "HISTFILE": "",  # bash would write it after its home was removed
            "PS1": "$ ",
            "TERM": "xterm",
        }

    def open(self) -> None:
        """Start the shell."""
        size = ("-x", str(COLUMNS), "-y", str(ROWS))
        shell = ("bash", "--noprofile", "--norc")
        self._run("-f", os.devnull, "new-session", "-d", *size, *shell)
        self._wait_for_prompt(1)

    def close(self) -> None:
        """End the shell, and tmux with it."""
        self._run("kill-server")

    def type(self, command: str) -> None:
        """Type a command, and wait until it has ended."""
        prompts = len(self._prompts())
        self._run("send-keys", "-l", command)
        self._run("send-keys", "Enter")
        self._wait_for_prompt(prompts + 1)

    def screen(self) -> str:
        """Return the screen with its colours, without the last prompt."""
        return self._run("capture-pane", "-p", "-e").rstrip().removesuffix("$").rstrip()

    def _prompts(self) -> list[str]:
        return re.findall(r"^\$.*", self._run("capture-pane", "-p").rstrip(), re.MULTILINE)

    def _wait_for_prompt(self, number: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while len(prompts := self._prompts()) < number or prompts[-1] != "$":
            if time.monotonic() > deadline:
                raise TimeoutError(self.screen())
            time.sleep(0.02)  # tmux does not report when it has drawn

    def _run(self, *argv: str) -> str:
        return subprocess.run(  # noqa: S603 - commands of this file
            [*self._tmux, *argv],
            env=self._environ,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        ).stdout


def session(home: Path, site: Sandbox) -> str:
    """Return the screen after a first login and the commands that follow."""
    with TemporaryDirectory() as own:
        terminal = Terminal(home, Path(own) / "tmux")
        try:
            terminal.open()
            for command in COMMANDS:
                terminal.type(command.format(site=site.url))
            return terminal.screen()
        finally:
            terminal.close()


def drawn(screen: str, colours: TerminalTheme) -> str:
    """Draw the screen of a terminal."""
    paper = Console(record=True, width=COLUMNS, file=io.StringIO(), no_color=False)
    paper.print(Text.from_ansi(screen))
    form = SVG.replace("BACKGROUND", colours.background_color.hex)
    return paper.export_svg(theme=colours, code_format=form, unique_id="t", title="")


# --- the browser ---


def take_pictures_of_the_page(home: Path, site: Sandbox, directory: Path) -> None:
    """Sign in with Chromium, and take pictures of the last page."""
    from playwright.sync_api import sync_playwright

    command = COMMANDS[0].format(site=site.url) + " --no-browser"
    login = subprocess.Popen(  # noqa: S603 - as above
        shlex.split(command),
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    with login, sync_playwright() as driver:
        assert login.stderr  # noqa: S101 - for the type checker
        lines = iter(login.stderr)
        address = next(
            found[0] for line in lines if (found := re.search(r"http://\S+/\S{8}", line))
        )
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--disable-background-networking"] + ["--no-sandbox"] * (os.geteuid() == 0),
        )
        page = browser.new_page(
            viewport={"width": 640, "height": 400}, device_scale_factor=2, color_scheme="light"
        )
        page.goto(address)
        page.get_by_role("button", name="Jane Doe").click()
        page.get_by_role("button", name="Approve").click()
        page.get_by_role("heading", name="Signed in as Jane Doe").wait_for()
        page.screenshot(path=directory / "browser-light.png")
        page.emulate_media(color_scheme="dark")
        page.screenshot(path=directory / "browser-dark.png")
        browser.close()


# --- command line ---


@contextmanager
def new_home(path: Path) -> Iterator[Path]:
    """Create a home directory, and remove it afterwards."""
    try:
        path.mkdir(mode=0o700)
    except OSError as problem:
        sys.exit(f"pictures: Cannot create {path}: {problem.strerror}. Run as root in a container.")
    try:
        yield path
    finally:
        shutil.rmtree(path)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="pictures", description=__doc__)
    parser.add_argument("--words", action="store_true", help="print the text of the terminal")
    if parser.parse_args().words:
        with TemporaryDirectory() as home, running() as site:
            sys.stdout.write(Text.from_ansi(session(Path(home), site)).plain)
        return
    PICTURES.mkdir(exist_ok=True)
    with new_home(HOME) as home, running(port=SITE_PORT) as site:
        screen = session(home, site)
    for name, colours in THEMES.items():
        (PICTURES / f"terminal-{name}.svg").write_text(drawn(screen, colours))
    with new_home(HOME) as home, running(port=SITE_PORT) as site:
        take_pictures_of_the_page(home, site, PICTURES)


if __name__ == "__main__":
    main()

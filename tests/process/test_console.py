"""Messages: wrapped on terminals of each width, and unchanged in a pipe."""

import os
import re
import shlex
import subprocess
import time
from dataclasses import dataclass

import pytest
from conftest import BROWSER, Command, end_of

from soe_auth.cli.console import Console, fitted
from soe_auth.sandbox import Sandbox

WIDTHS = [40, 80, 120]


def test_a_long_line_wraps_between_words() -> None:
    text = "Profile acme has no token; it was ended an hour ago.\n  Sign in again, if you need one."
    for line in fitted(text, 24).split("\n"):
        assert len(line) <= 24
    assert fitted(text, 24).replace("\n  ", " ").replace("\n", " ").split() == text.split()
    assert fitted(text, 24).count("\n  ") == 2  # what was indented stays so
    assert fitted(text, 200) == text


def test_the_rest_of_an_entry_is_below_its_text() -> None:
    assert fitted("  3. Copy its Client ID.", 20) == "  3. Copy its Client\n     ID."
    assert fitted("  2  never (risky: it ends)", 20) == "  2  never (risky: it\n     ends)"


def test_commands_and_addresses_are_not_wrapped() -> None:
    command = "`soe-auth login --site NAME.stackenterprise.co --client-id ID`"
    address = "https://acme.stackenterprise.co/oauth?client_id=110&state=" + "x" * 43
    shown = fitted(f"No profile yet; type {command}.\n  {address}", 30).split("\n")
    assert any(command in line for line in shown)
    assert f"  {address}" in shown


def test_details_are_printed_only_with_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    Console({}).detail("quiet")
    Console({}, verbose=True).detail("detail")
    Console({}, quiet=True).say("quiet")
    assert capsys.readouterr().err == "detail\n"


# --- real terminals ---


def on_a_terminal(command: Command, *argv: str, columns: int = 80, term: str = "xterm") -> str:
    """Return the output of a command in a terminal, after it has ended."""
    child = command.with_variables(TERM=term).on_a_terminal(*argv, columns=columns)
    return end_of(child)[1]


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
def test_words_are_coloured_only_on_a_terminal_with_colours(
    soe_auth: Command,
) -> None:
    red = "\x1b[1;31msoe-auth:\x1b[0m No site is set"
    assert on_a_terminal(soe_auth, "login").startswith(red)
    plain = "soe-auth: No site is set"
    assert on_a_terminal(soe_auth, "login", term="dumb").startswith(plain)
    no_colour = soe_auth.with_variables(NO_COLOR="1")
    assert on_a_terminal(no_colour, "login").startswith(plain)
    assert soe_auth("login").stderr.startswith(plain)
    assert soe_auth.with_variables(NO_COLOR="")("login").stderr.startswith(plain)
    assert soe_auth("config", "set", "site", "acme", "-p", "acme").returncode == 0
    for words, coloured in (
        ("status", ["  token    \x1b[1;31mnone\x1b[0m; type"]),
        ("doctor --site a(b", ["\x1b[32mok\x1b[0m       vers", "\x1b[1;31merror\x1b[0m    set"]),
    ):
        shown = on_a_terminal(soe_auth, *words.split(), columns=200)
        for text in coloured:
            assert text in shown
            without = re.sub(r"\x1b\[[\d;]*m", "", text)
            assert without in on_a_terminal(soe_auth, *words.split(), columns=200, term="dumb")
            assert without in on_a_terminal(no_colour, *words.split(), columns=200)
            assert without in soe_auth(*words.split()).stdout


@pytest.mark.posix("types at a pseudo-terminal")
@pytest.mark.process
def test_a_terminal_of_unknown_width_gets_unwrapped_lines(signed_in: Command) -> None:
    shown = on_a_terminal(signed_in, "token", "--min-ttl", "25h", columns=0, term="dumb")
    assert shown.replace("\r\n", "\n") == signed_in("token", "--min-ttl", "25h").stderr
    doctor = on_a_terminal(signed_in, "doctor", columns=0, term="dumb").splitlines()
    assert any(line.startswith("ok       loopback: 127.0.0.1 answered at port ") for line in doctor)


@dataclass(frozen=True)
class Emulator:
    """A terminal emulator with a server of its own, in which a command runs to its end."""

    command: Command
    columns: int

    def shows(self, *argv: str) -> str:
        """Return the rows of its screen, once the command has ended."""
        line = f"{shlex.join([self.command.path, *argv])}; echo THE-END; exec cat"
        size = ("-x", str(self.columns), "-y", "50")
        try:
            self._tmux("-f", os.devnull, "new-session", "-d", *size, line)
            while "THE-END" not in (screen := self._tmux("capture-pane", "-p")):
                time.sleep(0.02)  # the emulator does not say when it has drawn
        finally:
            self._tmux("kill-server")
        return screen.partition("THE-END")[0].rstrip()

    def _tmux(self, *argv: str) -> str:
        socket = str(self.command.home / "tmux")
        return subprocess.run(
            ["tmux", "-S", socket, *argv],
            env={**self.command.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        ).stdout


CALM = {
    "status": ("status",),
    "no token": ("token", "--min-ttl", "25h"),
    "signed in already": ("login", "--if-needed"),
    "no such profile": ("token", "-p", "unknown"),
    "a wrong setting": ("login", "--timeout", "soon"),
    "settings": ("config", "list"),
    "logout": ("logout", "--local"),
}


@pytest.mark.posix("looks at a window of tmux")
@pytest.mark.needs("tmux")
@pytest.mark.process
@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("name", CALM)
def test_no_word_is_broken_at_any_width(signed_in: Command, name: str, columns: int) -> None:
    in_a_pipe = signed_in if name == "logout" else signed_in(*CALM[name])
    shown = Emulator(signed_in, columns).shows(*CALM[name])
    words = shown.split()
    assert words
    if not isinstance(in_a_pipe, Command):
        assert words == (in_a_pipe.stdout + in_a_pipe.stderr).split()
    assert all(len(row) <= columns for row in shown.splitlines())


@pytest.mark.posix("looks at a window of tmux")
@pytest.mark.needs("tmux")
@pytest.mark.process
@pytest.mark.parametrize("columns", WIDTHS)
def test_an_address_is_printed_whole_at_any_width(
    soe_auth: Command, site: Sandbox, columns: int
) -> None:
    ssh = soe_auth.with_variables(SSH_CONNECTION="192.0.2.1 50000 192.0.2.2 22", BROWSER=BROWSER)
    shown = Emulator(ssh, columns).shows("login", "--site", site.url, "--client-id", "110")
    one_line = shown.replace("\n", "") if columns == min(WIDTHS) else shown
    addresses = re.findall(r"http://localhost:\d+/oauth\?[!-~\n]+", one_line)
    assert any("code_challenge_method=S256" in a.replace("\n", "") for a in addresses), shown
    assert "Signed in to localhost" in " ".join(shown.split())

"""Print the man page, from the parsers, the settings and the reference pages: `make man`."""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from itertools import groupby
from pathlib import Path

from soe_auth.cli.main import COMMANDS, add_common
from soe_auth.settings.spec import TABLE
from soe_auth.version import __version__

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"

DESCRIPTION = """
Signs you in to a site of Stack Overflow for Teams Enterprise with your browser, and stores an API
token for you alone. Scripts then call `soe-auth token`, which opens no browser without `--login`.

Results go to standard output; all that is meant for a person goes to standard error. Spans of time
read `90s`, `10m`, `8h`, `1d`, or in a row as in `1h30m`.
"""

GLOBAL_OPTIONS = "These can be written before or after the name of the command."

SIGNALS = "SIGTERM and SIGHUP end a command like Ctrl-C, with 143 and 129."

OTHER_VARIABLES = {
    "BROWSER": "the commands that open a URL, if no setting names one",
    "VISUAL, EDITOR": "the editor of `soe-auth config edit`",
    "NO_COLOR": "if set and not empty, the output has no colour",
    "HTTPS_PROXY, ALL_PROXY, NO_PROXY": "the proxy, if no setting names one",
    "SSL_CERT_FILE": "the file with the trusted CAs, if no setting names one",
    "XDG_CONFIG_HOME, XDG_CONFIG_DIRS": "the location of the config directories",
}

OTHER_FILES = {
    "/etc/xdg/soe-auth/config.toml": "the system's settings; yours have precedence",
    ".soe-auth.toml, pyproject.toml": "the project file; looked for from the current"
    " directory up to the root of the repository",
}

EXAMPLES = {
    "soe-auth demo": "Show a whole login, to a local site:",
    "soe-auth login --site acme.stackenterprise.co --client-id 110": "Log in for the first time:",
    "soe-auth login --if-needed --min-ttl 8h": "Log in unless the token is valid for 8 hours:",
    "soe-auth token --format curl --for users/me | curl -K -": (
        "Call the API, without the token on a command line:"
    ),
    "soe-auth run -- ./report.py": "Run a program with the token in `SOE_AUTH_TOKEN`:",
    "soe-auth status --check 2h || soe-auth login": "The same, before a long task:",
}

SEE_ALSO = "`curl`(1), `env`(1), `ssh`(1), `xdg-open`(1)"

# Characters that roff interprets or replaces.
SIGNS = str.maketrans(
    {
        "\\": r"\e",
        "-": r"\-",
        "'": r"\(aq",
        '"': r"\(dq",
        "~": r"\(ti",
        "^": r"\(ha",
        "`": r"\(ga",
        "…": "...",
        "“": r"\(lq",
        "”": r"\(rq",
    }
)


def actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments and options of a parser."""
    return parser._actions  # noqa: SLF001  # there is no other way to see them


_PARSER = argparse.ArgumentParser()
add_common(_PARSER)
COMMON = actions(_PARSER)
COMMON_OPTIONS = {name for action in COMMON for name in action.option_strings}


def page() -> Iterator[str]:
    """Yield the lines of the page; its date is that of the release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    yield rf".\" Made by tools/{Path(__file__).name}, from the code and docs/reference."
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## .+ \((.+)\)$", changelog, re.MULTILINE)
    date = released[1].replace("-", r"\-") if released else ""
    yield rf'.TH SOE\-AUTH 1 "{date}" "soe\-auth {__version__}" "User commands"'
    yield from (".nh", ".ad l")  # no hyphenation, so that words can be searched and copied
    yield ".SH NAME"
    yield rf"soe\-auth \- {words(project['description'])}"
    yield ".SH SYNOPSIS"
    yield r"\fBsoe\-auth\fR [\fIOPTION\fR ...] \fICOMMAND\fR [\fIARGUMENT\fR ...]"
    yield ".SH DESCRIPTION"
    yield from prose(DESCRIPTION)
    yield ".SH OPTIONS"
    yield from prose(GLOBAL_OPTIONS)
    for action in COMMON:
        yield from entry(named(action), action.help)
    yield ".SH COMMANDS"
    for command in COMMANDS:
        yield from section(command)
    yield ".SH EXIT STATUS"
    for code, says, *_ in table("exit-codes.md", "code"):
        yield from entry(bold(code), says)
    yield ".PP"
    yield from prose(SIGNALS)
    yield ".SH ENVIRONMENT"
    for setting in TABLE:
        yield from entry(bold(setting.variable), setting.help)
    for variable, does in table("settings.md", "variable"):
        yield from entry(words(variable), does)
    for names, are in OTHER_VARIABLES.items():
        yield from entry(bold(names), are)
    yield ".SH FILES"
    for path, mode, is_what in table("files.md", "file"):
        yield from entry(italic(f"~/.config/soe-auth/{path.strip('`')}"), f"{is_what}; mode {mode}")
    for path, is_what in OTHER_FILES.items():
        yield from entry(italic(path), is_what)
    yield ".SH EXAMPLES"
    yield from prose("\n\n".join(f"{does}\n  {command}" for command, does in EXAMPLES.items()))
    yield ".SH SEE ALSO"
    yield words(SEE_ALSO)


# --- commands ------------------------------------------------------------------------------------


def section(command: str) -> Iterator[str]:
    """Yield the description of a command, and its own options."""
    module = import_module(f"soe_auth.cli.commands.{command}")
    parser = argparse.ArgumentParser(prog=f"soe-auth {command}", conflict_handler="resolve")
    module.configure(parser)
    parsers = [parser]
    yield rf".SS soe\-auth {command}"
    yield from prose(module.__doc__)
    for action in own(parser):
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            for name, sub in action.choices.items():
                yield from subsection(name, sub)
                parsers.append(sub)
        else:
            yield from entry(named(action), action.help)
    if more := [f"`{each.prog} --help`" for each in parsers if each.epilog]:
        yield ".PP"
        yield from prose(f"For more, type {', '.join(more)}.")


def subsection(name: str, parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the description of an action of a command, and its own options."""
    positionals = [named(action) for action in own(parser) if not action.option_strings]
    options = [action for action in own(parser) if action.option_strings]
    yield from entry(" ".join([bold(name), *positionals]), parser.description)
    if options:
        yield ".RS"
        for action in options:
            yield from entry(named(action), action.help)
        yield ".RE"


def own(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments and options of a parser, without the global ones."""
    return [each for each in actions(parser) if not COMMON_OPTIONS & set(each.option_strings)]


def named(action: argparse.Action) -> str:
    """Return the form in which an argument or option is typed."""
    value = ""
    if action.nargs != 0:
        metavar = action.metavar or action.dest.upper()
        if action.choices and not action.metavar:
            metavar = " | ".join(map(str, action.choices))
        value = italic(str(metavar))
        if action.nargs == argparse.OPTIONAL and action.option_strings:
            value = f"[{value}]"
        if action.nargs == argparse.REMAINDER:
            value += " ..."
    options = ", ".join(map(bold, action.option_strings))
    return " ".join(part for part in (options, value) if part)


# --- the reference -------------------------------------------------------------------------------


def table(page: str, first: str) -> list[list[str]]:
    """Return the rows of the table on a reference page whose first column has that name."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    [body] = re.findall(rf"^\| {first} \|.*\n\|[ |-]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in body.splitlines()
    ]


# --- roff ----------------------------------------------------------------------------------------


def plain(text: str) -> str:
    """Escape text for roff; a line that begins with a dot would be a command."""
    return re.sub(r"^(?=\.)", r"\\&", text.translate(SIGNS))


def bold(text: str) -> str:
    """Return text in bold."""
    return rf"\fB{plain(text)}\fR"


def italic(text: str) -> str:
    """Return text in italics, which a terminal underlines."""
    return rf"\fI{plain(text)}\fR"


def words(markdown: str) -> str:
    """Return Markdown as roff: code in bold, and a link as its text."""
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", markdown).replace(r"\|", "|")
    parts = text.split("`")
    return "".join(bold(part) if number % 2 else plain(part) for number, part in enumerate(parts))


def prose(markdown: str | None) -> Iterator[str]:
    """Yield paragraphs, one sentence a line; indented lines are not changed."""
    for number, paragraph in enumerate((markdown or "").strip().split("\n\n")):
        if number:
            yield ".PP"
        for indented, lines in groupby(paragraph.splitlines(), lambda line: line.startswith(" ")):
            if indented:
                yield from (".RS", ".nf", *(plain(line.strip()) for line in lines), ".fi", ".RE")
            else:
                yield from re.split(r"(?<=[.?]) (?=[A-Z\\])", words(" ".join(lines)))


def entry(tag: str, markdown: str | None) -> Iterator[str]:
    """Yield a term and its description."""
    yield from (".TP", tag)
    yield from prose(markdown)


if __name__ == "__main__":
    sys.stdout.write("\n".join([*page(), ""]))

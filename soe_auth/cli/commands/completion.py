"""Print a script with which your shell completes commands, options and the names of profiles.

bash, where the package bash-completion is used, loads it when it is first needed:
  mkdir -p ~/.local/share/bash-completion/completions
  soe-auth completion bash > ~/.local/share/bash-completion/completions/soe-auth
elsewhere this line goes into ~/.bashrc:
  eval "$(soe-auth completion bash)"

zsh has to be told, in ~/.zshrc, where to look for it:
  mkdir -p ~/.zfunc
  soe-auth completion zsh > ~/.zfunc/_soe-auth
these are the lines for ~/.zshrc:
  fpath=(~/.zfunc $fpath)
  autoload -Uz compinit && compinit

fish finds it by itself:
  mkdir -p ~/.config/fish/completions
  soe-auth completion fish > ~/.config/fish/completions/soe-auth.fish

PowerShell loads it from your profile; type this once:
  New-Item -ItemType Directory -Force (Split-Path $PROFILE)
  soe-auth completion powershell > "$(Split-Path $PROFILE)/soe-auth.ps1"
  Add-Content $PROFILE '. "$PSScriptRoot/soe-auth.ps1"'

elvish loads it from ~/.config/elvish/rc.elv; type this once:
  mkdir -p ~/.config/elvish/lib
  soe-auth completion elvish > ~/.config/elvish/lib/soe-auth.elv
  echo 'use soe-auth' >> ~/.config/elvish/rc.elv

nushell loads what is in its folder autoload; type this once:
  mkdir ($nu.default-config-dir | path join autoload)
  cd ($nu.default-config-dir | path join autoload)
  soe-auth completion nushell | save -f soe-auth.nu
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_args

from soe_auth.cli.main import COMMANDS, WITHOUT_PROFILE, add_common
from soe_auth.errors import SoeAuthError
from soe_auth.settings.config_files import read_config_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from soe_auth.cli.console import Console

SHELLS = ("bash", "zsh", "fish", "powershell", "elvish", "nushell")

# What each shell is told beyond what its words are; each asks for the names when they are needed.
# None may make more of a name, or of a word that is being typed, than text.
_PREAMBLE = {
    "bash": """
_soe_auth_profiles() {
  local name
  while IFS= read -r name; do
    [[ $name != "$1"* ]] || printf '%s\\n' "$name"
  done < <(soe-auth completion --profiles 2>/dev/null)
}

_soe_auth_command() {
  compgen -c -- "$1"
  compgen -f -- "$1"
}
""",
    "zsh": """
_soe_auth_profiles() {
  local -a names=(${(f)"$(soe-auth completion --profiles 2>/dev/null)"})
  compadd -a names
}

_soe_auth_command() {
  [[ $words[1] != -- ]] || { shift words; (( CURRENT -= 1 )) }
  _normal
}
""",
    "fish": "",
    # The system's own function quotes the name of a file; shtab's does not.
    "powershell": r"""
function _soe_auth_profiles {
  param([string]$WordToComplete)
  soe-auth completion --profiles 2>$null |
    Where-Object { $_.StartsWith($WordToComplete, [StringComparison]::Ordinal) }
}

function _soe_auth_files {
  param([string]$WordToComplete)
  [System.Management.Automation.CompletionCompleters]::CompleteFilename($WordToComplete) |
    ForEach-Object { $_.CompletionText }
}

function _soe_auth_command {
  param([string]$WordToComplete)
  Get-Command -CommandType Application -Name "$WordToComplete*" -ErrorAction SilentlyContinue |
    Where-Object { $_.Name -match '^[\w.+-]+$' } |
    ForEach-Object { $_.Name }
  _soe_auth_files $WordToComplete
}
""",
}
_PROFILES = {
    "bash": "_soe_auth_profiles",
    "zsh": "_soe_auth_profiles",
    "fish": "(soe-auth completion --profiles 2>/dev/null)",
    "powershell": "_soe_auth_profiles",
    "table": "profiles",
}

# shtab does not know these two: they get a table, in JSON, and look up in it what can stand there.
_LOOKING_UP = {
    "elvish": """use str
var table = (print 'TABLE' | from-json)
set edit:completion:arg-completer[soe-auth] = {|@words|
  var at = soe-auth
  for word $words[1..-1] {
    if (has-key $table $at' '$word) { set at = $at' '$word }
  }
  var place = $table[$at]
  var offered = $place[words]
  if (str:has-prefix $words[-1] -) { set offered = $place[options] }
  if (has-key $place[values] $words[-2]) { set offered = $place[values][$words[-2]] }
  if (eq $offered profiles) {
    try { e:soe-auth completion --profiles | from-lines } catch e { }
  } elif (eq $offered files) {
    edit:complete-filename $words[-1]
  } else {
    for each $offered { edit:complex-candidate $each[0] &display=$each[0]'  '$each[1] }
  }
}""",
    "nushell": """let soe_auth_table = ('TABLE' | from json)
let soe_auth_others = $env.config.completions.external.completer?
$env.config.completions.external.completer = {|spans: list<string>|
  if ($spans | first) != soe-auth {
    if $soe_auth_others != null { do $soe_auth_others $spans }
  } else {
    let at = ($spans | skip 1 | drop 1 | reduce --fold soe-auth {|word, at|
      if $"($at) ($word)" in $soe_auth_table { $"($at) ($word)" } else { $at }
    })
    let place = ($soe_auth_table | get $at)
    let before = ($spans | drop 1 | last)
    let offered = if $before in $place.values {
      $place.values | get $before
    } else if ($spans | last) starts-with '-' { $place.options } else { $place.words }
    if $offered == profiles {
      ^soe-auth completion --profiles | lines | where {|name| $name starts-with ($spans | last) } |
        each {|name| {value: $name} }
    } else if $offered == files {
      null # which has nushell complete files
    } else {
      $offered | where {|each| $each.0 starts-with ($spans | last) } |
        each {|each| {value: $each.0, description: $each.1} }
    }
  }
}""",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the argument and the option of this command."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "shell", metavar="SHELL", nargs="?", choices=SHELLS, help=f"one of {', '.join(SHELLS)}"
    )
    what.add_argument(
        "--profiles",
        action="store_true",
        help="print the name of each profile instead, a line each; tells of no error",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the script, or the names."""
    if args.profiles:
        if names := _names(console):
            console.result(names)
            console.observer.prints(names)
    else:
        console.result(_script(args.shell))
    return 0


def _names(console: Console) -> str:
    try:
        return "\n".join(read_config_files(console.environ).profiles)
    except (SoeAuthError, OSError):  # who has typed half a line is told nothing of this
        return ""


def _script(shell: str) -> str:
    import shtab

    commands = _every_command()
    if shell in _LOOKING_UP:
        # No quote is left in it that could end the string around it.
        table = json.dumps(dict(_table(commands, "soe-auth"))).replace("'", "\\u0027")
        return _LOOKING_UP[shell].replace("TABLE", table)
    if shell == "powershell":  # its tables cannot tell -H from -h
        for action in _actions(commands):
            action.option_strings = [name for name in action.option_strings if name.islower()]
    script = shtab.complete(commands, shell, preamble=_PREAMBLE[shell]).rstrip()
    # Windows PowerShell 5.1 takes what a program prints for the console's code page, where a byte
    # of a character in UTF-8 may be a quote.
    return script.replace("…", "...") if shell == "powershell" else script


def _every_command() -> argparse.ArgumentParser:
    """Return a parser that knows every command, with what completes each value."""
    import shtab

    from soe_auth.cli.commands.config import KEYS
    from soe_auth.settings.spec import Paste, Redirect

    root = argparse.ArgumentParser(prog="soe-auth")
    add_common(root)
    commands = root.add_subparsers()
    for name, does in COMMANDS.items():
        parser = commands.add_parser(name, help=does)
        import_module(f"soe_auth.cli.commands.{name}").configure(parser)
        add_common(parser, profile=name not in WITHOUT_PROFILE)
    of_run = [action for action in _actions(commands.choices["run"]) if action.nargs != 0]
    before = sorted((name for action in of_run for name in action.option_strings), key=len)
    files = {**shtab.FILE, "powershell": "_soe_auth_files", "table": "files"}
    completed = {
        **dict.fromkeys(("profile", "target", "name"), _PROFILES),
        "cmd": {
            "bash": "_soe_auth_command",
            "zsh": "_soe_auth_command",
            # Two words go before it, ours and `run`, and the values of these options. A short one
            # comes first, as fish takes a long one there for its own.
            "fish": f"(__fish_complete_subcommand --fcs-skip=2 {' '.join(before)})",
            "powershell": "_soe_auth_command",
            "table": "files",
        },
        "output": files,
        "shared": files,
        "input": files,
    }
    choices = {
        "key": tuple(KEYS),
        "setting_redirect": get_args(Redirect),
        "setting_paste": get_args(Paste),
        "setting_redirect_host": ("localhost", "127.0.0.1", "soe-auth.localhost"),
    }
    for action in _actions(root):
        if action.dest in completed:
            action.complete = completed[action.dest]  # type: ignore[attr-defined]  # for shtab
        action.choices = choices.get(action.dest, action.choices)
    return root


def _table(parser: argparse.ArgumentParser, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what can stand behind a command, and behind those below it, each with its help."""
    words: Any = []  # or the name of what is looked up
    options: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    for action in parser._actions:  # noqa: SLF001  # shtab as well has no other way to see them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # it has no other name
            of_each = action._get_subactions()  # noqa: SLF001  # their help stands nowhere else
            words += [(each.dest, each.help or "") for each in of_each]
            for name, below in action.choices.items():
                yield from _table(below, f"{at} {name}")
            continue
        offered = getattr(action, "complete", {}).get("table")
        offered = offered or [(str(each), "") for each in action.choices or ()]
        if not action.option_strings:
            words = offered or words
        for option in action.option_strings:
            options.append((option, action.help or ""))
            if action.nargs != 0:
                values[option] = offered
    yield at, {"words": words, "options": options, "values": values}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield what a parser takes, and what those of its commands do."""
    for action in parser._actions:  # noqa: SLF001  # shtab as well has no other way to see them
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            for each in action.choices.values():
                yield from _actions(each)

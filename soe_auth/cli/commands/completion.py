"""Print a script that makes your shell complete commands, options and names of profiles.

bash, with the package bash-completion:
  mkdir -p ~/.local/share/bash-completion/completions
  soe-auth completion bash > ~/.local/share/bash-completion/completions/soe-auth
without it, add this line to ~/.bashrc:
  eval "$(soe-auth completion bash)"

zsh:
  mkdir -p ~/.zfunc
  soe-auth completion zsh > ~/.zfunc/_soe-auth
and add these lines to ~/.zshrc:
  fpath=(~/.zfunc $fpath)
  autoload -Uz compinit && compinit

fish:
  mkdir -p ~/.config/fish/completions
  soe-auth completion fish > ~/.config/fish/completions/soe-auth.fish

PowerShell:
  New-Item -ItemType Directory -Force (Split-Path $PROFILE)
  soe-auth completion powershell > "$(Split-Path $PROFILE)/soe-auth.ps1"
  Add-Content $PROFILE '. "$PSScriptRoot/soe-auth.ps1"'

elvish:
  mkdir -p ~/.config/elvish/lib
  soe-auth completion elvish > ~/.config/elvish/lib/soe-auth.elv
  echo 'use soe-auth' >> ~/.config/elvish/rc.elv

nushell:
  mkdir ($nu.default-config-dir | path join autoload)
  cd ($nu.default-config-dir | path join autoload)
  soe-auth completion nushell | save -f soe-auth.nu
"""

import argparse
import json
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from typing import Any, get_args

from soe_auth.cli.console import Console
from soe_auth.cli.main import COMMANDS, WITHOUT_PROFILE, add_common
from soe_auth.errors import SoeAuthError
from soe_auth.settings.config_files import read_config_files

SHELLS = ("bash", "zsh", "fish", "powershell", "elvish", "nushell")

# The functions of each shell that look up profiles, commands and files. All of them treat a name
# and a word that is being typed as text, and never run it.
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
    # CompleteFilename quotes the name of a file; shtab's function does not.
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

# shtab does not support these two. Their scripts have a table in JSON of what can follow a word.
_TABLE_SCRIPTS = {
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
      null # nushell then completes files
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
        help="print the name of each profile instead, one per line, and no error",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print the script, or the names of the profiles."""
    if not args.profiles:
        console.result(_script(args.shell))
        return 0
    with suppress(SoeAuthError, OSError):  # an error would garble the line that is being typed
        if names := "\n".join(read_config_files(console.environ).profiles):
            console.result(names)
            console.observer.prints(names)
    return 0


def _script(shell: str) -> str:
    import shtab

    root = _parser_of_all_commands()
    if shell in _TABLE_SCRIPTS:
        # The table stands between single quotes.
        table = json.dumps(dict(_table(root, "soe-auth"))).replace("'", "\\u0027")
        return _TABLE_SCRIPTS[shell].replace("TABLE", table)
    if shell == "powershell":  # its tables do not distinguish -H from -h
        for action in _actions(root):
            action.option_strings = [name for name in action.option_strings if name.islower()]
    script = shtab.complete(root, shell, preamble=_PREAMBLE.get(shell, "")).rstrip()
    # Windows PowerShell 5.1 decodes a program's output by the console's code page, in which a byte
    # of a UTF-8 character may be a quote.
    return script.replace("…", "...") if shell == "powershell" else script


def _parser_of_all_commands() -> argparse.ArgumentParser:
    """Return a parser with every command, in which each value has its choices or its lookup."""
    import shtab

    from soe_auth.cli.commands.config import KEYS
    from soe_auth.settings.spec import Paste, Redirect

    root = argparse.ArgumentParser(prog="soe-auth")
    add_common(root)
    commands = root.add_subparsers()
    for name, does in COMMANDS.items():
        parser = commands.add_parser(name, help=does, conflict_handler="resolve")  # as in Parser
        import_module(f"soe_auth.cli.commands.{name}").configure(parser)
        add_common(parser, profile=name not in WITHOUT_PROFILE)
    with_values = [action for action in _actions(commands.choices["run"]) if action.nargs != 0]
    options = sorted((name for each in with_values for name in each.option_strings), key=len)
    files = {**shtab.FILE, "powershell": "_soe_auth_files", "table": "files"}
    profiles = _lookup(
        "_soe_auth_profiles", "(soe-auth completion --profiles 2>/dev/null)", "profiles"
    )
    # fish skips `soe-auth run` and the values of these options. The short ones come first: it would
    # parse a long one as its own option.
    in_fish = f"(__fish_complete_subcommand --fcs-skip=2 {' '.join(options)})"
    lookups = {
        **dict.fromkeys(("profile", "target", "name"), profiles),
        **dict.fromkeys(("output", "shared", "input"), files),
        "cmd": _lookup("_soe_auth_command", in_fish, "files"),
    }
    choices = {
        "key": tuple(KEYS),
        "setting_redirect": get_args(Redirect),
        "setting_paste": get_args(Paste),
        "setting_redirect_host": ("localhost", "127.0.0.1", "soe-auth.localhost"),
    }
    for action in _actions(root):
        if action.dest in lookups:
            action.complete = lookups[action.dest]  # type: ignore[attr-defined]  # for shtab
        action.choices = choices.get(action.dest, action.choices)
    return root


def _lookup(function: str, fish: str, table: str) -> dict[str, str]:
    """Return what looks up values in each shell: a function of the preamble, except in fish."""
    return {**dict.fromkeys(("bash", "zsh", "powershell"), function), "fish": fish, "table": table}


def _table(parser: argparse.ArgumentParser, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the words, options and values that can follow each command, with their help.

    `path` is the command of the parser, such as `soe-auth config`.
    """
    words: Any = []  # or the name of a lookup
    options: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    for action in parser._actions:  # noqa: SLF001  # argparse has no public list, as for shtab
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # has no public name
            subactions = action._get_subactions()  # noqa: SLF001  # the only place of their help
            words += [(each.dest, each.help or "") for each in subactions]
            for name, subparser in action.choices.items():
                yield from _table(subparser, f"{path} {name}")
            continue
        lookup = getattr(action, "complete", {}).get("table")
        follows = lookup or [(str(each), "") for each in action.choices or ()]
        if not action.option_strings:
            words = follows or words
        for option in action.option_strings:
            options.append((option, action.help or ""))
            if action.nargs != 0:
                values[option] = follows
    yield path, {"words": words, "options": options, "values": values}


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield the arguments and options of a parser and of its subparsers."""
    for action in parser._actions:  # noqa: SLF001  # argparse has no public list, as for shtab
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # has no public name
            for each in action.choices.values():
                yield from _actions(each)

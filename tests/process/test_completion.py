"""The completion scripts, run in their shells; test_powershell.py checks the one for PowerShell."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_oracle import Place
from conftest import Command
from docs_parser import DOCS, ROOT

from soe_auth.cli.commands import completion, config, profile
from soe_auth.cli.commands.completion import SHELLS
from soe_auth.cli.main import COMMANDS, main

if sys.platform != "win32":
    import pexpect

Complete = Callable[[str], set[str]]

# A user's ~/.zshrc, and a function that prints the matches that zsh would show. With -u, compinit
# does not ask about directories of other owners.
ZSHRC = """
fpath=(~/.zfunc $fpath)
autoload -Uz compinit && compinit -D -u
compadd() {
  if [[ " $* " != *\\ -[OAD]\\ * ]]; then
    local -a hits
    builtin compadd -O hits "$@"
    (( ! $#hits )) || print -rl -- $hits >>~/hits
  fi
  builtin compadd "$@"
}
matches() { zle complete-word; print -n '\\x1e'; zle kill-whole-line }
zle -N matches && bindkey '^I' matches
PS1='ready'
"""


@pytest.fixture
def at_home(soe_auth: Command) -> Command:
    """Return the command in PATH, with two profiles and a file."""
    (soe_auth.home / "handout.toml").touch()
    write_config(soe_auth, '[profile.acme]\nsite = "acme"\n[profile.beta-2]\nsite = "beta"\n')
    return soe_auth.on_path().with_variables(TERM="dumb").within(soe_auth.home)


def write_config(soe_auth: Command, text: str) -> None:
    (soe_auth.home / "config").mkdir(exist_ok=True)
    (soe_auth.home / "config" / "config.toml").write_text(text)


def script_for(shell: str, soe_auth: Command) -> str:
    script = soe_auth("completion", shell)
    assert (script.returncode, script.stderr) == (0, "")
    return script.stdout


def save(soe_auth: Command, script: str, path: str) -> None:
    (soe_auth.home / path).parent.mkdir(parents=True)
    (soe_auth.home / path).write_text(script)


def in_bash(soe_auth: Command, script: str) -> Iterator[Complete]:
    save(soe_auth, script, ".bash/soe-auth")
    drive = """
    . ~/.bash/soe-auth
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    read -ra how < <(complete -p soe-auth)
    while [[ ${how[0]} != -F ]]; do how=("${how[@]:1}"); done
    "${how[1]}"
    printf '%s\\n' "${COMPREPLY[@]}"
    """

    def complete(line: str) -> set[str]:
        words = line.split(" ")
        return lines_of(soe_auth, "bash", "-c", drive, "bash", *words)

    yield complete


def in_fish(soe_auth: Command, script: str) -> Iterator[Complete]:
    save(soe_auth, script, ".config/fish/completions/soe-auth.fish")

    def complete(line: str) -> set[str]:
        found = lines_of(soe_auth, "fish", "-c", "complete -C $argv[1]", line)
        return {each.partition("\t")[0] for each in found}

    yield complete


def in_zsh(soe_auth: Command, script: str) -> Iterator[Complete]:
    save(soe_auth, script, ".zfunc/_soe-auth")
    (soe_auth.home / ".zshrc").write_text(ZSHRC)
    zsh = pexpect.spawn(
        "zsh", ["-d", "-i"], env=soe_auth.environ, cwd=soe_auth.home, encoding="utf-8", timeout=20
    )
    zsh.delaybeforesend = None
    hits = soe_auth.home / "hits"

    def complete(line: str) -> set[str]:
        hits.write_text("")
        zsh.send(f"{line}\t")
        zsh.expect("\x1e")
        return set(hits.read_text().split())

    zsh.expect("ready")
    yield complete
    zsh.close(force=True)


def lines_of(soe_auth: Command, *argv: str) -> set[str]:
    done = subprocess.run(
        argv,
        env=soe_auth.environ,
        cwd=soe_auth.cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )
    assert done.stderr == ""
    return {line.rstrip() for line in done.stdout.splitlines()} - {""}


def in_elvish(soe_auth: Command, script: str) -> Iterator[Complete]:
    save(soe_auth, script, ".config/elvish/lib/soe-auth.elv")
    rc, hits = soe_auth.home / "rc.elv", soe_auth.home / "hits"

    def complete(line: str) -> set[str]:
        words = line.split(" ")
        quoted = " ".join("'" + word.replace("'", "''") + "'" for word in words)
        # The editor itself leaves out what does not begin as the word that is being typed.
        rc.write_text(
            f"use soe-auth\n$edit:completion:arg-completer[soe-auth] {quoted} |"
            " each {|hit| try { echo $hit[stem] } catch _ { echo $hit } } >~/hits\n"
            "print ready; exit\n"
        )
        elvish = pexpect.spawn(
            "elvish", ["-rc", str(rc)], env=soe_auth.environ, cwd=soe_auth.cwd, timeout=20
        )
        elvish.expect_exact("ready")
        elvish.close(force=True)
        return {hit for hit in hits.read_text().split("\n") if hit and hit.startswith(words[-1])}

    yield complete


def in_nushell(soe_auth: Command, script: str) -> Iterator[Complete]:
    save(soe_auth, script, ".config/soe-auth.nu")
    drive = """
    source ~/.config/soe-auth.nu
    let words = ($env.LINE | split row ' ')
    do $env.config.completions.external.completer $words |
      default { glob $"($words | last)*" | each {|path| {value: ($path | path basename)} } } |
      get value | to text
    """

    def complete(line: str) -> set[str]:
        nu = soe_auth.with_variables(LINE=line)
        return lines_of(nu, RUN_BY["nushell"], "--no-config-file", "-c", drive)

    yield complete


# tools/setup installs nushell by npm, as it is no package of Debian.
NU = next((ROOT / "build" / "npm").glob("node_modules/@nushell/*/bin/nu"), "nu")
RUN_BY = {"bash": "bash", "zsh": "zsh", "fish": "fish", "elvish": "elvish", "nushell": str(NU)}
DRIVEN = {
    "bash": in_bash,
    "zsh": in_zsh,
    "fish": in_fish,
    "elvish": in_elvish,
    "nushell": in_nushell,
}
EACH_SHELL = [pytest.param(each, marks=pytest.mark.needs(RUN_BY[each])) for each in DRIVEN]


@pytest.fixture(params=EACH_SHELL)
def complete(request: pytest.FixtureRequest, at_home: Command) -> Iterator[Complete]:
    yield from DRIVEN[request.param](at_home, script_for(request.param, at_home))


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
@pytest.mark.parametrize("shell", EACH_SHELL[:3])
def test_the_file_in_the_wheel_completes(shell: str, at_home: Command) -> None:
    [path] = (ROOT / "completions").glob("_*" if shell == "zsh" else f"*.{shell}")
    for complete in DRIVEN[shell](at_home, path.read_text()):
        assert complete("soe-auth tok") == {"token"}
        assert complete("soe-auth token -p ") == {"acme", "beta-2"}


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_a_shell_completes_commands_options_and_values(
    complete: Complete, request: pytest.FixtureRequest
) -> None:
    assert complete("soe-auth tok") == {"token"}
    assert complete("soe-auth ") == set(COMMANDS)
    assert complete("soe-auth config ") == set(config.ACTIONS)
    assert complete("soe-auth token --form") == {"--format"}
    assert complete("soe-auth token --format ") == {"plain", "header", "env", "json", "curl"}
    assert complete("soe-auth token --format env --shell f") == {"fish"}
    assert complete("soe-auth token --format header --api v2") == {"v2.3"}
    assert complete("soe-auth login --redirect lo") == {"loopback", "login_success"}
    assert complete("soe-auth init --redirect-host l") == {"localhost"}
    assert complete("soe-auth config get def") == {"default_profile"}
    assert complete("soe-auth config set client") == {"client_id"}
    assert complete("soe-auth profile ") == set(profile.ACTIONS)
    assert complete("soe-auth profile use ") == {"acme", "beta-2"}
    assert complete("soe-auth login a") == {"acme"}
    assert complete("soe-auth completion z") == {"zsh"}
    if request.node.callspec.params["complete"] not in {"elvish", "nushell"}:
        assert "printf" in complete("soe-auth run -- printf")
        assert "printf" in complete("soe-auth run --min-ttl 1h printf")
    assert "handout.toml" in complete("soe-auth run -- cat hand")


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_a_shell_completes_files_where_an_option_takes_one(
    complete: Complete, capsys: pytest.CaptureFixture[str]
) -> None:
    taking = [
        f"{name} {option}" for name in COMMANDS for option in options_with_a_file(name, capsys)
    ]
    assert {"init --from", "token -o", "token --output"} <= set(taking)
    for words in taking:
        assert complete(f"soe-auth {words} hand") == {"handout.toml"}


def options_with_a_file(command: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit):
        main([command, "--help"], environ={})
    text = capsys.readouterr().out.split("\noptions:\n")[1]
    # Since 3.13 argparse writes `-o, --output FILE`; before, `-o FILE, --output FILE`.
    lines = re.findall(r"^ +((?:--?[a-z-]+(?: FILE)?(?:, )?)+) FILE", text, re.MULTILINE)
    return [option for line in lines for option in re.findall(r"--?[a-z][a-z-]*", line)]


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_a_shell_completes_current_profile_names(complete: Complete, at_home: Command) -> None:
    assert complete("soe-auth -p ") == {"acme", "beta-2"}
    assert complete("soe-auth token --profile b") == {"beta-2"}
    assert complete("soe-auth -p acme tok") == {"token"}
    assert complete("soe-auth config get site -p a") == {"acme"}
    write_config(at_home, '[profile.other_site]\nsite = "acme"\n')
    assert complete("soe-auth status -p ") == {"other_site"}
    write_config(at_home, "")
    assert complete("soe-auth status -p ") == set()


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
@pytest.mark.parametrize("name", ["$(touch here)", "`touch here`", "(touch here)", "a b", "*"])
def test_a_profile_name_is_never_run(name: str, complete: Complete, at_home: Command) -> None:
    write_config(at_home, f'[profile."{name}"]\nsite = "acme"\n')
    assert complete("soe-auth token -p ") == set()
    assert not (at_home.home / "here").exists()


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
@pytest.mark.parametrize("word", ["$(touch here)", "`touch here`", "*"])
def test_a_typed_word_is_never_run(word: str, complete: Complete, at_home: Command) -> None:
    complete(f"soe-auth token -p {word}".replace(" here", "\\ here"))
    assert not (at_home.home / "here").exists()


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ([], "SHELL or --profiles is missing."),
        (["tcsh"], "Unknown shell 'tcsh'."),
        (["bash", "zsh"], "Unexpected argument 'zsh'."),
        (["bash", "--profiles"], "Cannot use --profiles with SHELL."),
    ],
)
def test_an_unknown_shell_is_a_usage_error(
    argv: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", *argv], environ={}) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines()[0] == f"soe-auth: {why}"


def test_help_and_the_page_have_the_same_commands() -> None:
    page = DOCS / "how-to" / "completion.md"
    shown = [line.removeprefix("$ ") for line in page.read_text().splitlines()]
    to_type = re.findall(r"^  (.+)$", completion.__doc__ or "", re.MULTILINE)
    assert {shell for line in to_type for shell in SHELLS if f"completion {shell}" in line} == {
        *SHELLS
    }
    assert set(to_type) <= set(shown)


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell != "bash"])
def test_a_script_says_what_each_command_does(shell: str, place: Place) -> None:
    script = place.long("completion", shell).out
    for does in COMMANDS.values():
        assert re.search(re.escape(does).replace("'", ".{1,6}"), script)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_does_not_depend_on_where_it_is_made(shell: str, place: Place) -> None:
    shown = place.long("completion", shell)
    assert (shown.code, shown.err) == (0, "")
    assert place.long("completion", shell) == shown
    elsewhere = replace(place, variables={"COLUMNS": "40", "HOME": "/"}, cwd=Path("/"))
    assert elsewhere.long("completion", shell) == shown
    assert str(place.root) not in shown.out
    assert sys.prefix not in shown.out


@pytest.mark.posix("runs a POSIX shell")
@pytest.mark.process
def test_a_deleted_current_directory_does_no_harm(soe_auth: Command) -> None:
    gone = soe_auth.home / "gone"
    for directory in ("", "relative"):
        script = f"mkdir {gone}; cd {gone}; rmdir {gone}; {soe_auth.path} completion --profiles"
        done = soe_auth.with_variables(SOE_AUTH_CONFIG_DIR=directory)
        assert lines_of(done, "sh", "-c", script) == set()
    assert list(soe_auth.home.iterdir()) == []

"""Every message that a person can be shown stands on the page of messages, and no other does.

A message is a literal of the code where a person is spoken to. Its values, and all that is known
only when it runs, become `…`, as on the page.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from docs_parser import DOCS

import soe_auth
from soe_auth import SoeAuthError, errors

ROOMS = Path(soe_auth.__file__).parent
PAGE = DOCS / "reference" / "messages.md"

# What the practice site and the demo tell is part of the play.
SILENT = {ROOMS / "cli" / "commands" / "demo.py", *(ROOMS / "sandbox").rglob("*.py")}

ERRORS: dict[str, type[SoeAuthError]] = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, SoeAuthError)
}

# Who is called with words for a person, and which of the arguments they are.
TELLS = {
    **dict.fromkeys(ERRORS, 0),
    **dict.fromkeys(("announce", "_announce", "instruct", "verbose", "report", "_report"), 0),
    "detail": 0,
    **dict.fromkeys(("say", "write_stderr", "tell", "error", "fail", "print"), 0),
    **dict.fromkeys(("_Refused", "Failure", "_Nonsense", "Stray"), 0),
    **dict.fromkeys(("ValueError", "PermissionError", "TimeoutError", "RuntimeError"), 0),
    "__init__": 0,
    "Environment": 1,
    "_malformed": 1,
    "odd": 1,
    "write": 1,  # os.write, the last word of a command that was interrupted
    "Finding": 2,
    "wrong": 2,
}
HINTS = {"_Refused": 1, "Failure": 1, "wrong": 3, "Finding": 3}

# Where each string of several words is a part of what somebody is told.
WORDS = {
    "LoginTimedOut": "errors.py",
    "nothing": "actions/callback.py",
    "why_unusable": "model/token.py",
    "lifetime_warning": "model/token.py",
    "scope_warning": "model/token.py",
    "account_warning": "model/token.py",
    "warnings": "model/token.py",
    "Environment": "desktop/environment.py",
    "why_busy": "loopback/port_owner.py",
    "_explain": "loopback/sockets.py",
    "why_not": "loopback/sockets.py",
    "ssl_context": "site_client/tls.py",
    "_kind": "oauth/token_endpoint.py",
    "_CERTIFICATE_FAULTS": "site_client/failure.py",
    "TokenValidity": "site_client/client.py",
    "Ending": "site_client/client.py",
    "_introduction": "site_client/client.py",
    "failure_of": "site_client/failure.py",
    "_error": "site_client/transport.py",
    "_ON_SITE": "cli/commands/logout.py",
    "knock": "doctor/loopback.py",
    "_ask": "doctor/loopback.py",
}

# How what to do begins: with a command, or with a word such as these.
TO_DO = re.compile(
    r"`|(?:^|[.;:,…] )(?:and |or |then )?(?:add|ask|check|choose|copy|did you mean|end|finish|give"
    r"|have|install|it may|leave|name|open|pass|please report|put|remove|run|see|send|set|start"
    r"|there are|try|type|unset|write)\b",
    re.IGNORECASE,
)
# What is wrong with a value stands after the colon, and says itself what to write.
OF_A_VALUE = re.compile(r"(?:^…|\(from .*\)|of profile …|of a profile): ….?$")


@dataclass(frozen=True)
class Room:
    """A file of the code, with what its names are assigned."""

    path: Path
    tree: ast.Module
    names: dict[str, list[ast.expr]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOMS).as_posix()

    def texts(self, words: ast.expr | None) -> set[str]:
        """Return all that an expression can say."""
        match words:
            case ast.Constant(value=str() | bytes() as text):
                return {text if isinstance(text, str) else text.decode()}
            case ast.JoinedStr(values=parts):
                return {"".join(each) for each in product(*map(self.texts, parts))}
            case ast.FormattedValue(value=ast.IfExp() as value):
                return self.texts(value)
            case ast.FormattedValue(value=value) if ast.unparse(value).isupper():
                return self.texts(value)
            case ast.IfExp(body=one, orelse=other):
                return self.texts(one) | self.texts(other)
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return {a + b for a in self.texts(left) for b in self.texts(right)}
            case ast.Name(id=name) if name in self.names:
                plain = replace(self, names={})
                return {text for value in self.names[name] for text in plain.texts(value)}
            case _:
                return {"…"}

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield getattr(node.func, "attr", getattr(node.func, "id", "")), node


def rooms() -> Iterator[Room]:
    for path in sorted({*ROOMS.rglob("*.py")} - SILENT):
        room = Room(path, ast.parse(path.read_text(encoding="utf-8")))
        for node in ast.walk(room.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                room.names.setdefault(node.targets[0].id, []).append(node.value)
        yield room


def argument(call: ast.Call, position: int | None, keyword: str = "") -> ast.expr | None:
    at = [] if position is None else call.args[position : position + 1]
    named = [given.value for given in call.keywords if given.arg == keyword]
    return next(iter([*at, *named]), None)


def is_of_words(node: ast.AST, room: Room) -> bool:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return WORDS.get(name) == room.name
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return WORDS.get(name) == room.name
        case _:
            return False


def strings(within: ast.AST) -> Iterator[ast.expr]:
    """Yield the strings of several words; of a call, what is appended; of docstrings, none."""
    for child in ast.iter_child_nodes(within):
        match child:
            case ast.Constant() | ast.JoinedStr():
                if " " in ast.unparse(child):
                    yield child
            case ast.Call(func=called) if getattr(called, "attr", "") != "append":
                pass
            case ast.Expr(value=ast.Constant()):
                pass
            case _:
                yield from strings(child)


def pattern(text: str) -> str:
    """Return a text as the page has it: on one line, with `…` for each value."""
    text = re.sub(r"\{\w+\}", "…", text)  # a template
    return re.sub("…+", "…", " ".join(text.removeprefix("soe-auth: ").split()))


def messages() -> dict[str, str]:
    """Return every message, with the name of a room that says it."""
    found: dict[str, str] = {}
    for room in rooms():
        said = [argument(call, TELLS[name]) for name, call in room.calls() if name in TELLS]
        for node in ast.walk(room.tree):
            said += strings(node) if is_of_words(node, room) else []
        found |= {pattern(text): room.name for words in said for text in room.texts(words)}
    return {text: name for text, name in found.items() if re.search(r"\w", text)}


def test_every_message_stands_on_the_page_once_and_no_other_does() -> None:
    items = re.findall(r"^- (`+) ?(.+?) ?\1$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    said, listed = messages(), Counter(text for _, text in items)
    assert {text: name for text, name in said.items() if text not in listed} == {}
    assert [text for text in listed if text not in said] == []
    assert [text for text, times in listed.items() if times > 1] == []


def test_every_message_of_the_page_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    after = re.findall(r"^- `.+\n(?!- )(?:\n(.*))?", text, re.MULTILINE)
    assert all(words and words[0] not in "#-|" for words in after)


def test_every_error_says_what_to_do_about_it() -> None:
    silent = []
    for room in rooms():
        for name, call in room.calls():
            kind = ERRORS.get(name)
            if hint := argument(call, HINTS.get(name), "hint"):
                said = room.texts(hint)
            elif kind and "__init__" not in vars(kind):  # those that have one give a hint there
                said = {kind.hint} if kind.hint else room.texts(argument(call, 0))
            else:
                continue
            silent += [
                f"{room.name}, line {call.lineno}: {text}"
                for text in map(pattern, said)
                if text not in {"", "…"} and not (TO_DO.search(text) or OF_A_VALUE.search(text))
            ]
    assert silent == []


def test_who_has_failed_to_log_in_is_led_to_the_page() -> None:
    troubleshooting = (DOCS / "how-to" / "troubleshooting.md").read_text(encoding="utf-8")
    assert "](../reference/messages.md" in troubleshooting

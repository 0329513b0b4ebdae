"""The ways in which a token is written for other programs, each quoted by the reader's own rules.

A token is visible ASCII, and any of it may be in one: quotes, `$`, `*` and backslashes too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from soe_auth.oauth.bearer import V2_HEADER, V3_HEADER
from soe_auth.settings import TOKEN_VARIABLE

if TYPE_CHECKING:
    from typing import Literal

    from soe_auth.model.secret import Secret

    Format = Literal["plain", "header", "env", "curl"]
    Api = Literal["v3", "v2.3"]
    Shell = Literal["sh", "fish", "powershell", "cmd"]

APIS: tuple[Api, ...] = ("v3", "v2.3")
SHELLS: tuple[Shell, ...] = ("sh", "fish", "powershell", "cmd")

_HEADERS: dict[Api, str] = {"v3": V3_HEADER, "v2.3": V2_HEADER}


def written(token: Secret, form: Format, *, api: Api = "v3", shell: Shell = "sh") -> str:
    """Return the token in one of the forms that need to know nothing else of it.

    Raises ValueError as `export`.
    """
    match form:
        case "plain":
            return token.reveal()
        case "header":
            return header(token, api)
        case "env":
            return export(token, shell)
        case "curl":
            return curl_config(token, api)


def header(token: Secret, api: Api) -> str:
    """Return the header that the API wants, name and value."""
    return _HEADERS[api] + token.reveal()


def export(token: Secret, shell: Shell) -> str:
    """Return the line that, evaluated by the shell, sets and exports SOE_AUTH_TOKEN.

    Between single quotes a POSIX shell takes all but the quote as it is (POSIX.1-2017, XCU 2.2.2),
    fish all but the quote and the backslash ("The fish language", Quotes), PowerShell all but the
    quote, which it has doubled (about_Quoting_Rules).

    cmd takes `&`, `|`, `<`, `>`, `^` and parentheses between double quotes as they are. What it
    makes of `"`, `%` and `!` depends on where the line stands, at the prompt, in a batch file or in
    `for /f`, and on delayed expansion. Raises ValueError for a token with one of them.
    """
    value = token.reveal()
    match shell:
        case "sh":
            quoted = value.replace("'", "'\\''")
            return f"export {TOKEN_VARIABLE}='{quoted}'"
        case "fish":
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"set -gx {TOKEN_VARIABLE} '{quoted}'"
        case "powershell":
            quoted = value.replace("'", "''")
            return f"$env:{TOKEN_VARIABLE} = '{quoted}'"
        case "cmd":  # pragma: no branch - there is no other
            if not {'"', "%", "!"}.isdisjoint(value):
                raise ValueError('it contains ", % or !, which cmd may change')
            return f'set "{TOKEN_VARIABLE}={value}"'


def curl_config(token: Secret, api: Api) -> str:
    """Return what `curl -K -` reads, so that it sends the header (curl(1), --config).

    API v2.3 compresses every answer, so curl is told to decompress what comes from there.
    """
    quoted = header(token, api).replace("\\", "\\\\").replace('"', '\\"')
    return f'header = "{quoted}"' + ("\ncompressed" if api == "v2.3" else "")

"""Find out why a login would fail here, before you try one.

It changes nothing and shows no secret, so that what it prints can stand in a ticket. It asks your
site, if one is known. Exit 0: nothing is wrong. Else the code says of what kind
the first thing is that is wrong: 2 settings, 4 loopback, 5 site, 6 network, 7 store.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from soe_auth.cli.exit_codes import BUG, EXIT_CODES
from soe_auth.cli.json_output import FORMAT_VERSION
from soe_auth.cli.options import add_settings, given_settings, resolve_settings
from soe_auth.doctor import examine
from soe_auth.errors import SettingsError
from soe_auth.model.text import printable
from soe_auth.settings.spec import BROWSER, CLIENT_ID, PORT, REDIRECT, REDIRECT_HOST, SITE

if TYPE_CHECKING:
    import argparse

    from soe_auth.cli.console import Console
    from soe_auth.doctor import Finding

_INDENT = 9  # columns of a verdict
_LONGEST = 1000  # characters of a line: a path alone may be long


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, SITE, CLIENT_ID, REDIRECT, REDIRECT_HOST, PORT, BROWSER)
    report = parser.add_mutually_exclusive_group()
    report.add_argument("--json", action="store_true", help="print it as JSON")
    report.add_argument(
        "--probe",
        action="store_true",
        help="only ask the site what is unknown of real ones, and print a report to hand on",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Look around, and tell of each thing at once; the first thing wrong gives the exit code."""
    if args.probe:
        return _probe(args, console)
    found = []
    for finding in examine(given_settings(args), profile=args.profile, environ=console.environ):
        found.append(finding)
        if not args.json:
            _tell(finding, console)
    errors = [finding for finding in found if finding.verdict == "error"]
    if args.json:
        report = {"version": FORMAT_VERSION, "findings": [_fields(finding) for finding in found]}
        console.result(json.dumps(report, indent=2))
    else:
        _sum_up(errors, console)
    return exit_code_of(errors[0]) if errors else 0


def _probe(args: argparse.Namespace, console: Console) -> int:
    """Print what the site answers without a token. Raises SettingsError and NetworkError."""
    from soe_auth.doctor.probe import probe
    from soe_auth.site_client.event_loop import run_async

    settings = resolve_settings(args, console)
    site, _ = settings.require_site_and_client
    if settings.doubt:
        raise SettingsError(
            f"{site} was not asked: {settings.doubt}, and you have not agreed to it.",
            hint=f"If you trust it, name it yourself: `soe-auth doctor --probe --site {site}`."
            if settings.only_project
            else "If you trust it, add it to trusted_sites: `soe-auth config edit`.",
        )

    async def report() -> None:
        async for line in probe(settings):
            console.result(line)

    run_async(report())
    return 0


def exit_code_of(finding: Finding) -> int:
    """Return the exit code of a login that ends by what was found."""
    kind = finding.kind or object
    return next((code for base, code in EXIT_CODES.items() if issubclass(kind, base)), BUG)


def _tell(finding: Finding, console: Console) -> None:
    says, todo = _words(finding)
    verdict = finding.verdict
    console.report(f"{verdict:{_INDENT}}{finding.name}: {says}", hang=_INDENT, verdict=verdict)
    # What to do about a thing that is wrong stands at the end, where the eye is.
    if finding.verdict == "warning" and todo:
        console.report(f"{'':{_INDENT}}{todo}")


def _sum_up(errors: list[Finding], console: Console) -> None:
    console.report("\nWhat is wrong, and what to do:" if errors else "\nNothing is wrong.")
    for finding in errors:
        says, todo = _words(finding)
        console.report(f"  {finding.name}: {says}")
        console.report(f"    {todo}")


def _words(finding: Finding) -> tuple[str, str]:
    return printable(finding.says, _LONGEST), printable(finding.todo, _LONGEST)


def _fields(finding: Finding) -> dict[str, str | None]:
    says, todo = _words(finding)
    return {
        "name": finding.name,
        "verdict": finding.verdict,
        "says": says,
        "todo": todo or None,
    }

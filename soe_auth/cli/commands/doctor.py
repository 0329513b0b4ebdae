"""Find out why a login would fail on this machine, before you try one.

It changes nothing and shows no secret, so that its output can go into a ticket. It contacts your
site, if one is set. Exit code 0: no error was found. Otherwise it is that of the first error: 2
settings, 4 loopback, 5 site, 6 network, 7 store.

For example:
  soe-auth doctor
  soe-auth doctor --site acme --client-id 110
"""

import argparse

from soe_auth.cli.console import Console
from soe_auth.cli.exit_codes import exit_code
from soe_auth.cli.json_output import to_json
from soe_auth.cli.options import add_settings, option_values, resolve_settings
from soe_auth.doctor import examine
from soe_auth.errors import SettingsError
from soe_auth.settings.spec import BROWSER, CLIENT_ID, PORT, REDIRECT, REDIRECT_HOST, SITE

_INDENT = 9  # columns of a verdict


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_settings(parser, SITE, CLIENT_ID, REDIRECT, REDIRECT_HOST, PORT, BROWSER)
    report = parser.add_mutually_exclusive_group()
    report.add_argument("--json", action="store_true", help="print it as JSON")
    report.add_argument(
        "--probe",
        action="store_true",
        help="send the site a few requests without a token, and print a report to share",
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Print each finding as it is made; the first error gives the exit code."""
    if args.probe:
        return _probe(args, console)
    found = []
    for finding in examine(option_values(args), profile=args.profile, environ=console.environ):
        found.append(finding)
        if not args.json:
            verdict = finding.verdict
            line = f"{verdict:{_INDENT}}{finding.name}: {finding.says}"
            console.report(line, hang=_INDENT, verdict=verdict)
            if verdict == "warning" and finding.todo:  # errors are repeated at the end, with it
                console.report(f"{'':{_INDENT}}{finding.todo}")
    errors = [finding for finding in found if finding.verdict == "error"]
    if args.json:
        fields = [
            {"name": f.name, "verdict": f.verdict, "says": f.says, "todo": f.todo or None}
            for f in found
        ]
        console.result(to_json(findings=fields))
    else:
        console.report("\nErrors, and what to do:" if errors else "\nNo errors.")
        for finding in errors:
            console.report(f"  {finding.name}: {finding.says}")
            if finding.todo:
                console.report(f"    {finding.todo}")
    return exit_code(errors[0].kind) if errors else 0


def _probe(args: argparse.Namespace, console: Console) -> int:
    from soe_auth.doctor.probe import probe
    from soe_auth.site_client.event_loop import run_async

    settings = resolve_settings(args, console)
    if settings.doubt:
        raise settings.untrusted_site("soe-auth doctor --probe")
    try:
        settings.require_site_and_client()
    except SettingsError as problem:
        if settings.site:
            problem.hint = "Add `--client-id ID`."
        raise

    async def report() -> None:
        async for line in probe(settings):
            console.result(line)

    run_async(report())
    return 0

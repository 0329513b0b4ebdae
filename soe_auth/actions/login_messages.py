"""What a login tells its user, in the order in which it may be told."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, SettingsError
from soe_auth.model.duration import in_words
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from soe_auth.actions.callback import CallbackSources
    from soe_auth.actions.login_io import LoginIO, PendingAuthorization
    from soe_auth.model.token import Token
    from soe_auth.settings.settings import Settings

_OTHER_WAY = " If that is the site's own name, add --redirect login_success."
_OFFER_AFTER = 4.0  # seconds, in which a browser that is signed in already has come back
_LOOK = 0.1  # seconds between two looks at whether the browser's command has failed
_SIGN_AFTER = 3.0  # seconds until a login on a terminal shows that it waits


def require_someone_to_answer(settings: Settings, io: LoginIO, *, opened: bool) -> None:
    """Raise LoginRequired where an automatic login would only wait for its time-out."""
    can_paste = io.pasted_lines is not None
    if why := io.environment.why_unattended(opened=opened, can_paste=can_paste):
        raise LoginRequired(f"{why}; type `{settings.login_command}`, or set SOE_AUTH_TOKEN.")


def instruct(
    pending: PendingAuthorization, settings: Settings, io: LoginIO, *, opened: bool
) -> None:
    """Say what the user needs to go on if no browser comes up."""
    here, paste_only = pending.address, settings.redirect == "login_success"
    if opened:
        io.announce(f"Opening {here} in your browser …")
    elif io.open_browser:
        io.announce(why_no_browser(settings))
    port = pending.sockets.port if pending.sockets and not paste_only else None
    if sentence := io.environment.describe(port):
        io.announce(sentence)
    tell = io.announce if opened else io.instruct
    to_offer = here if not opened and not paste_only else None
    if to_offer:
        tell(f"Open this address in a browser on this machine:\n  {to_offer}")
        tell(f"Or this one in a browser anywhere:\n  {pending.request.url}")
    elif not opened:
        tell(f"Open this address in a browser anywhere:\n  {pending.request.url}")
    elif io.environment.remote_reason or paste_only:
        tell(f"Open this address if no browser comes up:\n  {pending.request.url}")
    if pending.reads_paste and io.pasted_lines:
        watched = ". The clipboard is watched for that address; or paste it here:"
        tell(
            "At the site's page “Authorizing Application”, press Ctrl-L and Ctrl-C (Cmd-L and Cmd-C"
            f" on a Mac){watched if io.read_clipboard else ', and paste the address here:'}"
            if paste_only
            else "Paste the address that the browser ends at, if it cannot come back by itself:"
        )


def why_no_browser(settings: Settings) -> str:
    """Say that no browser was started, and which one the user has chosen."""
    if not settings.browser:
        return "No browser could be started here."
    return (
        f"{printable(settings.browser)} (from {settings.place('browser')}) could not be started: it"
        " is not there, or is a browser for the terminal."
    )


def reads_paste(settings: Settings, io: LoginIO, *, opened: bool) -> bool:
    """Whether a line of the terminal may be the answer: where the browser may not come back.

    Elsewhere what is typed meanwhile is for the shell.
    """
    elsewhere = settings.redirect == "login_success" or io.environment.remote_reason
    return io.pasted_lines is not None and bool(elsewhere or not opened)


@asynccontextmanager
async def advise(
    pending: PendingAuthorization, sources: CallbackSources, io: LoginIO, after: float
) -> AsyncIterator[None]:
    """Tell the user, while the login waits, what they could not know.

    That the browser's command has failed; that Enter goes on another way; `after` so many seconds,
    what Domain is needed; and on a terminal that it goes on, on a line that is rewritten, unless
    the terminal is read for a pasted address.
    """
    import asyncio

    async def watch_browser() -> None:
        while not io.browser_failed():  # noqa: ASYNC110  # a thread knows, and knows no loop
            await asyncio.sleep(_LOOK)
        io.instruct(
            "The browser command ended with an error; open the address yourself:\n"
            f"  {pending.address}"
        )

    async def offer_another_way() -> None:
        await asyncio.sleep(min(after, _OFFER_AFTER))
        if sources.can_ask_again:
            io.announce("If the site shows an error about redirect_uri, press Enter.")

    async def name_the_domain() -> None:
        await asyncio.sleep(after)
        io.announce(
            "Nothing has come back yet. If the site shows an error about redirect_uri,"
            f" {_domain_needed(sources.settings)}."
        )
        if not pending.reads_paste:
            io.announce("If the browser cannot come back here, start again with --no-browser.")

    told = [watch_browser(), offer_another_way(), name_the_domain()]
    if io.show_waiting and not pending.reads_paste:
        told.append(_count_seconds(io.show_waiting, sources, min(_SIGN_AFTER, after)))
    tasks = [asyncio.create_task(each) for each in told]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _count_seconds(
    show: Callable[[str], None], sources: CallbackSources, after: float
) -> None:
    """Show for how long the login waits, until it ends, or Enter has asked for an address."""
    import asyncio

    begun = asyncio.get_running_loop().time()
    try:
        await asyncio.sleep(after)
        while sources.settings.redirect == "loopback":
            waited = in_words(asyncio.get_running_loop().time() - begun)
            show(f"Waiting for the browser, {waited} now; Ctrl-C ends it.")
            await asyncio.sleep(1)
    finally:
        show("")


def timed_out_hint(settings: Settings) -> str:
    """Return what to do after a login that timed out."""
    own_page = settings.redirect == "login_success"
    return (
        f"If the site showed an error about redirect_uri, {_domain_needed(settings)};"
        f" then start again{', and paste the whole address that it ends at.' if own_page else '.'}"
        f"{'' if own_page else _OTHER_WAY}"
    )


def _domain_needed(settings: Settings) -> str:
    from soe_auth.actions.registration import domain

    site, _ = settings.require_site_and_client
    needed = domain(site, settings.redirect, settings.redirect_host)
    return f"the application's Domain there must be {needed}"


def announce_signed_in(
    token: Token, replaced: Token | None, settings: Settings, io: LoginIO
) -> None:
    """Say who signed in where, for how long, and what is odd about it."""
    who = f" as {token.account}" if token.account else ""
    lasts = token.describe_expiry(io.now())
    io.announce(
        f"Signed in to {token.site.authority}{who}, profile {settings.profile}."
        f" The token lasts {lasts}."
    )
    if words := token.lifetime_warning(settings.min_ttl):
        io.announce(words)
    if replaced and (words := token.account_warning(replaced, settings.profile)):
        io.announce(words)


def remember_profile(settings: Settings, io: LoginIO) -> None:
    """Store what flags have said as a profile, so that `soe-auth login` alone is enough.

    A profile that is there gets what the flags say, and no variable's value; what that changed is
    told, and how to undo it. Nothing is stored where the site is a project file's word.
    """
    from soe_auth.actions.registration import changes
    from soe_auth.settings.config_files import read_configs
    from soe_auth.settings.config_writer import save_profile

    values = settings.profile_values
    if settings.known:
        values = {key: value for key, value in values.items() if key in settings.from_flags}
    if not settings.from_flags or not (settings.known or "site" in values):
        return
    try:
        configs = read_configs(settings.paths.files)
        changed = save_profile(settings.paths.config, settings.profile, values)
    except SettingsError as problem:
        io.announce(f"The profile was not remembered. {problem}")
        return
    if changed and not settings.known:
        way = f" with redirect {settings.redirect}" if settings.redirect != "loopback" else ""
        io.announce(f"Remembered as profile {settings.profile}{way}: {settings.paths.config}")
    for change in changes(settings, configs) if changed and settings.known else ():
        if change.key in values:
            io.announce(
                f"Remembered in profile {settings.profile}: {change}."
                f" `{change.undo(settings.profile)}` undoes it."
            )
    if settings.scope.no_expiry and "scope" in settings.from_flags:
        io.announce(
            "A no_expiry token does not end by itself: `soe-auth logout` once you are done with it."
        )

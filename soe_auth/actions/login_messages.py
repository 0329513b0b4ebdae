"""The messages of a login, in the order in which they can be shown."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from soe_auth.errors import LoginRequired, LoginTimedOut
from soe_auth.model.duration import in_words
from soe_auth.model.text import printable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from soe_auth.actions.callback_sources import CallbackSources
    from soe_auth.actions.login_io import LoginIO, PendingAuthorization
    from soe_auth.loopback.server import CallbackServer
    from soe_auth.settings.settings import Settings

_OFFER_AFTER = 4.0  # seconds; a browser that is signed in already comes back sooner
_BROWSER_POLL = 0.1  # seconds
_COUNT_AFTER = 3.0  # seconds until a terminal shows how long the login waits


def require_user(settings: Settings, io: LoginIO, *, opened: bool) -> None:
    """Raise LoginRequired if an automatic login would only wait for its timeout."""
    if opened or io.pasted_lines is not None:
        return
    if io.environment.unattended:
        why = f"This is {io.environment.remote_reason}, and no user is here to sign in"
    else:
        why = "There is neither a browser nor a terminal here to sign in with"
    raise LoginRequired(f"{why}; type `{settings.login_command}`, or set SOE_AUTH_TOKEN.")


def reads_paste(settings: Settings, io: LoginIO, *, opened: bool) -> bool:
    """Whether to read the callback from the terminal: the browser may not return by itself.

    Otherwise, the user's input is left for the shell.
    """
    elsewhere = settings.redirect == "login_success" or io.environment.remote_reason
    return io.pasted_lines is not None and bool(elsewhere or not opened)


def instruct(pending: PendingAuthorization, settings: Settings, io: LoginIO) -> None:
    """Show the addresses to open, and the prompt for a pasted one if it may be needed."""
    paste_only = settings.redirect == "login_success"
    if pending.opened:
        io.announce(f"Opening {pending.address} in your browser …")
    elif io.open_browser:
        io.announce(why_no_browser(settings))
    port = pending.sockets.port if pending.sockets and not paste_only else None
    if sentence := io.environment.describe(port):
        io.announce(sentence)
    show = io.announce if pending.opened else io.instruct
    if pending.opened and (io.environment.remote_reason or paste_only):
        show(f"If no browser opens, open this address:\n  {pending.request.url}")
    elif not pending.opened and pending.address and not paste_only:
        show(f"Open this address in a browser on this computer:\n  {pending.address}")
        show(f"Or this one in a browser on any computer:\n  {pending.request.url}")
    elif not pending.opened:
        show(f"Open this address in a browser on any computer:\n  {pending.request.url}")
    if not pending.reads_paste or not io.pasted_lines:
        return
    if paste_only:
        then = ". soe-auth reads the clipboard; or" if io.read_clipboard else ", then"
        show(
            "On the site's page “Authorizing Application”, press Ctrl-L and Ctrl-C (Mac: Cmd-L and"
            f" Cmd-C){then} paste the address here:"
        )
    else:
        show("Waiting for your browser … If it shows an error page, copy its address here:")


def why_no_browser(settings: Settings) -> str:
    """Return the message that no browser could be started."""
    if not settings.browser:
        return "Cannot open a browser here."
    return (
        f"Cannot start {printable(settings.browser)} (from {settings.place('browser')}): it is not"
        " installed, or needs a terminal."
    )


@asynccontextmanager
async def advise(
    pending: PendingAuthorization, sources: CallbackSources, io: LoginIO, after: float
) -> AsyncIterator[None]:
    """Show advice while the login waits.

    It is: that the browser's command failed; that Enter switches to the site's own page; after
    `after` seconds, the Domain that is needed; and the time waited, unless the terminal is read for
    a pasted address.
    """
    import asyncio

    async def report_browser_failure() -> None:
        while not io.browser_failed():  # noqa: ASYNC110  # a thread sets it, not the event loop
            await asyncio.sleep(_BROWSER_POLL)
        io.instruct(
            "Cannot start the browser: its command ended with an error. Open this address:\n"
            f"  {pending.address}"
        )

    async def advise_about_redirect() -> None:
        await asyncio.sleep(min(after, _OFFER_AFTER))
        if sources.can_switch:
            io.announce("If the site shows an error about redirect_uri, press Enter.")
        await asyncio.sleep(max(0.0, after - _OFFER_AFTER))
        io.announce(f"Still waiting. {_domain_advice(sources.settings)}")
        if pending.opened and not pending.reads_paste:
            io.announce("If your browser is on another computer, start again with `--no-browser`.")

    async def count_seconds(show: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            await asyncio.sleep(min(after, _COUNT_AFTER))
            while sources.settings.redirect == "loopback":
                show(f"Waiting for your browser … {in_words(loop.time() - start)} (Ctrl-C to stop)")
                await asyncio.sleep(1)
        finally:
            show("")

    watchers = [report_browser_failure(), advise_about_redirect()]
    if io.show_waiting and not pending.reads_paste:
        watchers.append(count_seconds(io.show_waiting))
    tasks = [asyncio.create_task(watcher) for watcher in watchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def command_to_start_again(settings: Settings, io: LoginIO) -> str:
    """Return the command of this login, with --no-browser if no browser was wanted."""
    return settings.login_command + ("" if io.open_browser else " --no-browser")


def timed_out(
    pending: PendingAuthorization,
    settings: Settings,
    io: LoginIO,
    listener: CallbackServer | None,
) -> LoginTimedOut:
    """Return the error of a login that timed out; its hint depends on how far the login got."""
    strays = dict(listener.strays) if listener else {}
    domain = _domain_advice(settings)
    again = f"Start again: `{command_to_start_again(settings, io)}`."
    if settings.redirect == "login_success":
        reason = "no address was pasted"
        hint = f"{again} Paste the whole address that the browser ends at. {domain}"
    elif listener and listener.browser_redirected:
        reason = "the site did not send the browser back"
        hint = f"{domain} If it is the site's own name, add `--redirect login_success`. {again}"
        hint += " If that fails too, type `soe-auth doctor`."
    elif pending.reads_paste:
        reason = "no browser came back, and no address was pasted"
        hint = f"{again} Paste the whole address that the browser ends at. {domain}"
    else:
        reason = "no browser opened the address above"
        hint = again
        if pending.opened:
            hint += " If your browser is on another computer, add `--no-browser`."
    if strays:
        hint = f"Use the newest tab, and close older ones. {hint}"
    return LoginTimedOut(in_words(settings.timeout), strays, reason, hint=hint)


def _domain_advice(settings: Settings) -> str:
    return (
        "If the site shows an error about redirect_uri, the application's Domain there must be"
        f" {settings.domain}."
    )

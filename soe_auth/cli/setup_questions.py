"""The questions of `soe-auth init`: they end in the settings of one profile, and write nothing."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from soe_auth.actions.consent import settle
from soe_auth.actions.login_messages import why_no_browser
from soe_auth.actions.registration import administrator_text, domain, domains, steps
from soe_auth.cli.options import read_option, tell_ignored_suffix
from soe_auth.desktop.browser import launch
from soe_auth.desktop.clipboard import clipboard_reader
from soe_auth.desktop.environment import detect
from soe_auth.errors import NetworkError, SettingsError, SoeAuthError
from soe_auth.model.site import VENDOR_DOMAIN, Site
from soe_auth.model.text import read_profile_name
from soe_auth.model.token import Scope
from soe_auth.settings.project_file import find_project
from soe_auth.settings.resolve import resolve
from soe_auth.settings.spec import CLIENT_ID, PASTE, REDIRECT, REDIRECT_HOST, SITE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from soe_auth.cli.console import Console
    from soe_auth.cli.prompts import Prompter
    from soe_auth.model.network import Network
    from soe_auth.settings.config_files import Configs
    from soe_auth.settings.settings import Settings
    from soe_auth.settings.spec import Paste
    from soe_auth.site_client.transport import ResponseHead

_NONE_YET = "none yet"
_WITHOUT_END = "A token without end is good for anyone who finds it, until you end it."


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupWizard:
    """Asks for whatever was not given; what the environment and the files say is the default.

    `given` are settings as text, by their keys, and `profile` is the name that was given, if any.
    `check` says whether the site is contacted, `browser` whether a page may be opened.
    """

    prompter: Prompter
    console: Console
    configs: Configs
    given: Mapping[str, str]
    profile: str | None
    check: bool
    browser: bool

    def run(self) -> Settings:
        """Ask the questions in their order. Raises SettingsError and NetworkError."""
        settings = self._site()
        if "client_id" not in self.given and not settings.client_id and self.prompter.can_ask:
            self._show_steps(settings)
        if not self.given.keys() & {"redirect", "redirect_host", "port"}:
            settings = self._domain(settings)
        if "client_id" not in self.given:
            settings = self._client_id(settings)
        if self.check:
            self._ask_authorize(settings)
        settings = self._scope(settings)
        if settings.scope.no_expiry:
            self.console.say(_WITHOUT_END)
        return settings if self.profile else self._name(settings)

    def _site(self) -> Settings:
        if "site" in self.given:
            return self._meet(read_option("site", Site.parse, self.given["site"]), again=False)
        return self.prompter.ask(
            "Which site? (acme or its URL)",
            lambda text: self._meet(Site.parse(text), again=True),
            default=self._likely_site(),
            flag=SITE.flag,
        )

    def _likely_site(self) -> str:
        """Return what the environment, the profile or the project says; what is trusted only."""
        if stated := self.console.environ.get(SITE.variable):
            return stated
        if self.profile and (kept := self.configs.site_of(self.profile)) is not None:
            return kept
        project = find_project(self._here)
        if project is None or project.site is None:
            return ""
        if project.site.in_cloud or self.configs.name_site(project.site):
            return project.site.as_typed
        self.console.error(
            f"{project.table.origin} names the site {project.site}, outside"
            f" https://*.{VENDOR_DOMAIN}. Type it, if you trust it."
        )
        return ""

    def _here(self) -> Path:
        """Return the directory whose project file makes defaults: none where no user sees them."""
        if not self.prompter.can_ask:
            raise FileNotFoundError
        return Path.cwd()

    def _meet(self, site: Site, *, again: bool) -> Settings:
        """Resolve what is known of a site, and look at it.

        Raises ValueError where the person wants to name it `again`.
        """
        tell_ignored_suffix(site, self.console)
        if self.profile and self.configs.is_taken(self.profile, site):
            raise SettingsError(
                f"Profile {self.profile} belongs to another site.",
                hint="Give this one another name with -p NAME.",
            )
        settings = resolve(
            {**self.given, SITE.key: str(site)},
            profile=self.profile or (self._free_name(site) if self.prompter.can_ask else None),
            environ=self.console.environ,
            cwd=self._here,
        )
        if asked := settings.project_request:
            self.console.error(f"{asked} That is the default here, and is kept in your profile.")
        settle(settings, self.console.confirm if self.prompter.can_ask else None, self.console.say)
        if self.check:
            self._look_at(site, settings, again=again)
        return settings

    def _free_name(self, site: Site) -> str:
        first = name = self.configs.profiles_of(site)[0]
        count = 1
        while self.configs.is_taken(name, site):
            count += 1
            name = f"{first}-{count}"
        return name

    def _look_at(self, site: Site, settings: Settings, *, again: bool) -> None:
        self.console.say(f"Asking {site.authority} …")
        try:
            from soe_auth.site_client.event_loop import run_async

            answer = run_async(_fetch_head(site, settings.network))
        except NetworkError as problem:
            self._go_on_after(problem, again=again)
            return
        if answer.requires_token:
            self.console.say("It is there, and answers as an SOE site does.")
        else:
            self.console.say(
                f"It answers (HTTP {answer.status}), but whether it is an SOE site cannot be"
                " told from that: a login page may stand before it."
            )

    def _go_on_after(self, problem: NetworkError, *, again: bool) -> None:
        """Return only if a person takes the site as it was typed, though nothing answers there."""
        if not self.prompter.can_ask:
            hint = f"{problem.hint} Or add --no-check, and it is not asked."
            raise NetworkError(str(problem), hint=hint) from None
        self.console.error(f"{problem}\n  {problem.hint}")
        if self.prompter.confirm("Go on all the same?", default=False, flag="--no-check"):
            return
        if again:
            raise ValueError("name another site, or the same one to try again") from None
        raise problem

    def _show_steps(self, settings: Settings) -> None:
        site = self._registered(settings)
        self.console.error(f"\nOn {site.authority}:\n\n{steps(site, settings)}.\n")
        if self.browser:
            self._offer_page(site, settings)

    def _domain(self, settings: Settings) -> Settings:
        if not self.prompter.can_ask:
            return settings
        ways, host = domains(self._registered(settings)), settings.redirect_host
        place, default = detect(self.console.environ), host if host in ways else "another"
        is_default = settings.origins[REDIRECT.key] == "default"
        if settings.redirect == "login_success":
            default = "own"
        elif place.remote_reason and not place.forwards and is_default:
            default = "own"
            self.console.error(f"\nThis is {place.remote_reason}: {place.advice}. Then take 5.")
        chosen = self.prompter.choose(
            "Which Domain did the form take?",
            list(ways.items()),
            default=default,
            flag=f"{REDIRECT.flag} or {REDIRECT_HOST.flag}",
        )
        if chosen == "own":
            return replace(settings, redirect="login_success", paste=self._paste(settings))
        if chosen == "another":
            known, flag = "" if host in ways else host, REDIRECT_HOST.flag
            chosen = self.prompter.ask("That name", REDIRECT_HOST.read, default=known, flag=flag)
        return replace(settings, redirect="loopback", redirect_host=chosen)

    def _paste(self, settings: Settings) -> Paste:
        """Ask where the address of the site's own page is taken from, where that can be chosen."""
        environ = self.console.environ
        if "paste" in self.given or detect(environ).remote_reason or not clipboard_reader(environ):
            return settings.paste
        chosen = self.prompter.choose(
            "How does that address come here?",
            [("terminal", "you paste it"), ("clipboard", "you copy it, and it is seen")],
            default=settings.paste,
            flag=PASTE.flag,
        )
        return PASTE.read(chosen)

    def _client_id(self, settings: Settings) -> Settings:
        site = self._registered(settings)
        default = settings.client_id or (_NONE_YET if self.prompter.can_ask else "")

        def read(text: str) -> str:
            return "" if text == _NONE_YET else CLIENT_ID.read(text) or ""

        client_id = self.prompter.ask("Client ID", read, default=default, flag=CLIENT_ID.flag)
        if client_id:
            return replace(settings, client_id=client_id)
        self.console.result(administrator_text(self._scope(settings), site))
        raise SettingsError(
            "There is no client ID yet, so nothing was written.",
            hint="Send the text above to an administrator of the site; with the number they give"
            f" you, go on: `soe-auth init --site {site.as_typed} --client-id NUMBER`.",
        )

    def _ask_authorize(self, settings: Settings) -> None:
        """Tell where the site refuses the client ID and the Domain before anyone signs in."""
        from soe_auth.site_client.client import is_refused
        from soe_auth.site_client.event_loop import run_async

        site, client_id = settings.require_site_and_client
        with suppress(SoeAuthError):  # of the way to the site, which has been told
            if run_async(is_refused(settings)):
                needed = domain(site, settings.redirect, settings.redirect_host)
                self.console.error(
                    f"{site.authority} refuses client ID {client_id} with the Domain {needed}:"
                    " see that both are as the site's page shows them."
                )

    def _offer_page(self, site: Site, settings: Settings) -> None:
        place = detect(self.console.environ)
        here = place.remote_reason is None or place.forwards
        question = "Open that page in your browser?"
        if self.prompter.confirm(question, default=here, flag="--no-browser"):
            opened = launch(str(site), settings.browser, self.console.environ)
            self.console.say(
                f"Opening {site} in your browser …"
                if opened
                else f"{why_no_browser(settings)} Open it yourself."
            )

    def _scope(self, settings: Settings) -> Settings:
        if "scope" in self.given or not self.prompter.can_ask:
            return settings
        names = set(settings.scope.names)
        may = self.prompter.choose(
            "What may the token do?",
            [("read", "read only"), ("write", "read and write")],
            default="write" if "write_access" in names else "read",
            flag="--scope",
        )
        lasts = self.prompter.choose(
            "How long is a token good for?",
            [("day", "a day"), ("forever", "without end")],
            default="forever" if "no_expiry" in names else "day",
            flag="--scope",
        )
        where = self.prompter.choose(
            "What is the token for?",
            [("site", "the site itself"), ("team", "one private team, which you pick there")],
            default="team" if "access_team" in names else "site",
            flag="--scope",
        )
        asked = names - {"write_access", "no_expiry", "access_team"}
        if asked:
            self.console.error(f"It asks for {', '.join(sorted(asked))} as before.")
        if may == "write":
            asked.add("write_access")
        if lasts == "forever":
            asked.add("no_expiry")
        if where == "team":
            asked.add("access_team")
        return replace(settings, scope=Scope(tuple(sorted(asked))))

    def _name(self, settings: Settings) -> Settings:
        site = self._registered(settings)

        def read(text: str) -> str:
            name = read_profile_name(text)
            if self.configs.is_taken(name, site):
                raise ValueError("that profile belongs to another site")
            return name

        if self.prompter.can_ask:
            self.console.error("")
        name = self.prompter.ask(
            "A name for this profile", read, default=settings.profile, flag="-p"
        )
        return replace(settings, profile=name)

    def _registered(self, settings: Settings) -> Site:
        """Return the site, which is known by now."""
        assert settings.site  # noqa: S101  # `_meet` has resolved it
        return settings.site


async def _fetch_head(site: Site, network: Network) -> ResponseHead:
    """See what the site's API answers to who has no token. Raises NetworkError."""
    from soe_auth.site_client.client import FIRST_LOOK, WHO_AM_I, connect

    async with connect(site, FIRST_LOOK, network=network) as connection:
        return await connection.fetch_head(WHO_AM_I)

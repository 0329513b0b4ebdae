"""The questions of `soe-auth init`: they return the settings of one profile, and write nothing."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, count
from pathlib import Path

from soe_auth.actions.login_messages import why_no_browser
from soe_auth.actions.project_consent import require_consent
from soe_auth.actions.registration import administrator_text, steps
from soe_auth.cli.console import Console
from soe_auth.cli.options import read_option, report_ignored_suffix
from soe_auth.cli.prompts import Prompter
from soe_auth.desktop.browser import find_browser, has_default_browser, launch
from soe_auth.desktop.clipboard import clipboard_reader
from soe_auth.desktop.environment import detect
from soe_auth.errors import NetworkError, SettingsError, SoeAuthError
from soe_auth.model.site import VENDOR_DOMAIN, Site
from soe_auth.model.text import read_profile_name
from soe_auth.model.token import Scope
from soe_auth.oauth.api_call import SiteResponse
from soe_auth.settings.config_files import Configs
from soe_auth.settings.project_file import ProjectFile, find_project
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Settings
from soe_auth.settings.spec import CLIENT_ID, PASTE, REDIRECT, REDIRECT_HOST, SITE

_NONE_YET = "none yet"
# In each question, the second choice adds its scope.
_SCOPE_QUESTIONS = (
    ("What may the token do?", ("read", "read only"), ("write_access", "read and write")),
    (
        "When does the token expire?",
        ("day", "after a day"),
        ("no_expiry", "never (risky: it ends only when you log out)"),
    ),
    (
        "What is the token for?",
        ("site", "the main site"),
        ("access_team", "one private team, which you choose at the login"),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupWizard:
    """Asks for each setting that is not given; environment and files supply the defaults.

    `given` holds the given settings as text by key, and `profile` is the given name, if any.
    `check` allows requests to the site, `browser` allows opening its page.
    """

    prompter: Prompter
    console: Console
    configs: Configs
    given: Mapping[str, str]
    profile: str | None
    check: bool
    browser: bool

    def run(self) -> tuple[Settings, bool]:
        """Ask the questions in order; return the answers, and whether the site refuses them.

        Raises SettingsError and NetworkError.
        """
        site, settings = self._ask_site()
        can_ask = self.prompter.can_ask
        ask_redirect = can_ask and not self.given.keys() & {"redirect", "redirect_host", "port"}
        pastes = ask_redirect and self._is_browser_elsewhere(settings)
        if pastes:
            settings = replace(settings, redirect="login_success")
        if can_ask and not settings.client_id:
            self._show_steps(site, settings)
        if ask_redirect and not pastes:
            settings = self._ask_domain(site, settings)
        if "client_id" not in self.given:
            settings = self._ask_client_id(site, settings)
        refused = self.check and self._is_refused(site, settings)
        while refused and can_ask:
            before = settings
            if ask_redirect and not pastes:
                settings = self._ask_domain(site, settings)
            settings = self._ask_client_id(site, settings)
            if settings == before:
                break
            refused = self._is_refused(site, settings)
        if can_ask and "scope" not in self.given:
            settings = self._ask_scope(settings, len(_SCOPE_QUESTIONS))
        elif settings.scope.no_expiry:
            self.console.say("Anyone who finds such a token can use it until you log out.")
        return settings if self.profile else self._ask_name(site, settings), refused

    def _ask_site(self) -> tuple[Site, Settings]:
        if "site" in self.given:
            site = read_option("site", Site.parse, self.given["site"])
            return site, self._resolve_and_check(site, may_retry=False)

        def read(text: str) -> tuple[Site, Settings]:
            site = Site.parse(text)
            return site, self._resolve_and_check(site, may_retry=True)

        question = "Which site? (acme or its URL)"
        return self.prompter.ask(question, read, default=self._default_site(), flag=SITE.flag)

    def _default_site(self) -> str:
        """Return the site of the environment, the profile or the project, if it is trusted."""
        if site := self.console.environ.get(SITE.variable):
            return site
        if self.profile and (stored := self.configs.site_of(self.profile)) is not None:
            return stored
        project = self._find_project(Path.cwd)
        if project is None or project.site is None:
            return ""
        if project.site.in_cloud or self.configs.has_site(project.site):
            return project.site.as_typed
        self.console.error(
            f"{project.table.origin} names the site {project.site}, outside"
            f" https://*.{VENDOR_DOMAIN}. Type it, if you trust it."
        )
        return ""

    def _find_project(self, cwd: Callable[[], Path]) -> ProjectFile | None:
        """Find the project file; none if no user sees what it sets."""
        return find_project(cwd) if self.prompter.can_ask else None

    def _resolve_and_check(self, site: Site, *, may_retry: bool) -> Settings:
        """Resolve the settings for a site, and check that it answers.

        Raises ValueError if it does not and the user wants to name another one.
        """
        report_ignored_suffix(site, self.console)
        if self.profile and self.configs.is_taken(self.profile, site):
            raise SettingsError(
                f"Profile {self.profile} belongs to another site.",
                hint="Choose another name with -p NAME.",
            )
        can_ask = self.prompter.can_ask
        settings = resolve(
            {**self.given, SITE.key: str(site)},
            profile=self.profile or (self._free_name(site) if can_ask else None),
            environ=self.console.environ,
            find=self._find_project,
        )
        if request := settings.project_request:
            self.console.error(f"{request} That is the default here, and goes into your profile.")
        require_consent(settings, self.console.confirm if can_ask else None, self.console.say)
        if self.check:
            self._check_site(site, settings, may_retry=may_retry)
        return settings

    def _free_name(self, site: Site) -> str:
        first = self.configs.profiles_of(site)[0]
        names = chain([first], (f"{first}-{number}" for number in count(2)))
        return next(name for name in names if not self.configs.is_taken(name, site))

    def _check_site(self, site: Site, settings: Settings, *, may_retry: bool) -> None:
        from soe_auth.site_client.client import ONE_ATTEMPT, WHO_AM_I, connect
        from soe_auth.site_client.event_loop import run_async

        async def fetch() -> SiteResponse:
            async with connect(site, ONE_ATTEMPT, network=settings.network) as connection:
                return await connection.fetch_head(WHO_AM_I)

        self.console.say(f"Contacting {site.authority} …")
        try:
            head = run_async(fetch())
        except NetworkError as problem:
            if not self.prompter.can_ask:
                hint = f"{problem.hint} Or add --no-check to skip this."
                raise NetworkError(str(problem), hint=hint) from None
            self.console.error(f"{problem}\n  {problem.hint}")
            if self.prompter.confirm("Use it anyway?", default=False, flag="--no-check"):
                return
            if may_retry:
                raise ValueError("name another site, or the same one to try again") from None
            raise
        if head.requires_token:
            self.console.say("It answers like an SOE site.")
        else:
            self.console.say(
                f"It answers (HTTP {head.status}), but not like an SOE site."
                " A login page in front of the site may be the cause."
            )

    def _is_browser_elsewhere(self, settings: Settings) -> bool:
        """Ask where the browser is, unless it is here or the settings choose the redirect."""
        environment = detect(self.console.environ)
        chosen = settings.origins[REDIRECT.key] != "default"
        if chosen or environment.remote_reason is None or environment.forwards:
            return False
        self.console.error(f"\nThis is {environment.remote_reason}.")
        choices = [("yes", "yes"), ("no", "no, I will paste")]
        question = "Is your browser on this computer?"
        return self.prompter.choose(question, choices, default="no", flag=REDIRECT.flag) == "no"

    def _show_steps(self, site: Site, settings: Settings) -> None:
        self.console.error(f"\nOn {site.authority}:\n\n{steps(site, settings)}.\n")
        chosen, environ = settings.browser, self.console.environ
        can_open = find_browser(chosen, environ) or has_default_browser(chosen, environ)
        question = "Open that page in your browser?"
        if not (self.browser and can_open) or not self.prompter.confirm(
            question, default=True, flag="--no-browser"
        ):
            return
        opened = launch(str(site), chosen, environ)
        failed = f"{why_no_browser(settings)} Open it yourself."
        self.console.say(f"Opening {site} in your browser …" if opened else failed)

    def _ask_domain(self, site: Site, settings: Settings) -> Settings:
        def read(text: str) -> str:
            return site.authority if text == site.authority else REDIRECT_HOST.read(text)

        chosen = self.prompter.ask(
            "Domain of the application",
            read,
            default=settings.domain,
            flag=f"{REDIRECT.flag} or {REDIRECT_HOST.flag}",
        )
        if chosen != site.authority:
            return replace(settings, redirect="loopback", redirect_host=chosen)
        settings, environ = replace(settings, redirect="login_success"), self.console.environ
        if "paste" in self.given or detect(environ).remote_reason or not clipboard_reader(environ):
            return settings
        chosen = self.prompter.choose(
            "At a login, how does soe-auth get the address?",
            [("terminal", "I paste it"), ("clipboard", "I copy it; soe-auth reads the clipboard")],
            default=settings.paste,
            flag=PASTE.flag,
        )
        return replace(settings, paste=PASTE.read(chosen))

    def _ask_client_id(self, site: Site, settings: Settings) -> Settings:
        default = settings.client_id or (_NONE_YET if self.prompter.can_ask else "")

        def read(text: str) -> str:
            return "" if text == _NONE_YET else CLIENT_ID.read(text) or ""

        client_id = self.prompter.ask("Client ID", read, default=default, flag=CLIENT_ID.flag)
        if client_id:
            return replace(settings, client_id=client_id)
        if "scope" not in self.given:
            settings = self._ask_scope(settings, 1)  # the Status of the application depends on it
        self.console.result(administrator_text(settings, site))
        raise SettingsError(
            "There is no client ID yet, so nothing was written.",
            hint="Send the text above to an administrator of the site. With the client ID, type"
            f" `soe-auth init --site {site.as_typed} --client-id ID`.",
        )

    def _is_refused(self, site: Site, settings: Settings) -> bool:
        """Whether the site refuses the client ID and the Domain; if so, show a warning."""
        from soe_auth.site_client.client import is_refused
        from soe_auth.site_client.event_loop import run_async

        with suppress(SoeAuthError):  # connection problems were reported above
            if refused := run_async(is_refused(settings)):
                self.console.error(
                    f"{site.authority} refuses client ID {settings.client_id} with the Domain"
                    f" {settings.domain}. Compare both with the site's page."
                )
            return refused
        return False

    def _ask_scope(self, settings: Settings, questions: int) -> Settings:
        """Ask this number of questions about the scope."""
        names = set(settings.scope.names)
        for question, without, with_scope in _SCOPE_QUESTIONS[:questions]:
            scope = with_scope[0]
            default = scope if scope in names else without[0]
            choices = [without, with_scope]
            answer = self.prompter.choose(question, choices, default=default, flag="--scope")
            names = names | {scope} if answer == scope else names - {scope}
        if others := names - {scope for _, _, (scope, _) in _SCOPE_QUESTIONS}:
            self.console.error(f"Other scopes are kept: {', '.join(sorted(others))}.")
        return replace(settings, scope=Scope(tuple(sorted(names))))

    def _ask_name(self, site: Site, settings: Settings) -> Settings:
        def read(text: str) -> str:
            name = read_profile_name(text)
            if self.configs.is_taken(name, site):
                raise ValueError("that profile belongs to another site")
            return name

        if self.prompter.can_ask:
            self.console.error("")
        question = "Name of this profile"
        name = self.prompter.ask(question, read, default=settings.profile, flag="-p")
        return replace(settings, profile=name)

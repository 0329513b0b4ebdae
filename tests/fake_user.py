"""A user who logs in, in this process: real sockets and files, a scripted browser."""

import asyncio
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path

from soe_auth.actions.login_io import LoginIO
from soe_auth.desktop.environment import Environment
from soe_auth.sandbox.scripted_browser import VisitedPage, visit
from soe_auth.settings.resolve import resolve
from soe_auth.settings.settings import Settings
from soe_auth.storage.file_store import FileStore
from soe_auth.storage.login_lock import LoginLock


@dataclass
class FakeUser:
    """A user: the messages that they get, and what their browser opens and shows."""

    home: Path
    refuse: bool = False
    account: str | None = None
    told: list[str] = field(default_factory=list)
    curious: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    pages: list[VisitedPage] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)

    def settings(self, *, site: str = "", **flags: str) -> Settings:
        given = {"client_id": "110", "timeout": "20s", **flags}
        if site:
            given["site"] = site
        return resolve(given, environ={"SOE_AUTH_CONFIG_DIR": str(self.home)})

    def effects(self, **changed: object) -> LoginIO:
        effects = LoginIO(
            store=FileStore(self.home, report=self.told.append),
            login_lock=LoginLock(self.home, report=self.told.append),
            announce=self.told.append,
            instruct=self.told.append,
            verbose=self.curious.append,
            open_browser=self.browse,
            environment=Environment(remote_reason=None),
        )
        return replace(effects, **changed)  # type: ignore[arg-type]  # each test knows its fields

    def browse(self, url: str) -> bool:
        self.opened.append(url)
        walk = threading.Thread(target=lambda: self.pages.append(asyncio.run(self._walk(url))))
        walk.start()
        self.threads.append(walk)
        return True

    async def _walk(self, url: str) -> VisitedPage:
        return await visit(url, account=self.account, refuse=self.refuse)

    @property
    def last_page(self) -> str:
        for thread in self.threads:
            thread.join()
        return self.pages[-1].text

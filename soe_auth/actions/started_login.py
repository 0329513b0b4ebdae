"""A login whose browser was started before its settings were resolved; see soe_auth.fast."""

from __future__ import annotations

TYPE_CHECKING = False  # typing would take longer to import than all of this
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from soe_auth.files.lock import Release
    from soe_auth.loopback.sockets import LoopbackSockets


class StartedLogin:
    """A login whose lock is held, whose port is bound and whose browser was started.

    `assumed` are the settings that it was started by: the profile, then `Settings.of_browser`.
    `release` frees the lock, `browser_failed` says whether the browser's command has failed since.
    """

    __slots__ = ("assumed", "browser_failed", "launch_path", "release", "sockets")

    def __init__(
        self,
        assumed: Sequence[str],
        release: Release,
        sockets: LoopbackSockets,
        launch_path: str,
        browser_failed: Callable[[], bool],
    ) -> None:
        self.assumed: Sequence[str] = assumed
        self.release: Release = release
        self.sockets: LoopbackSockets = sockets
        self.launch_path: str = launch_path
        self.browser_failed: Callable[[], bool] = browser_failed

    def cancel(self) -> None:
        """Free the port and the lock; the browser is left alone."""
        self.sockets.close()
        self.release()

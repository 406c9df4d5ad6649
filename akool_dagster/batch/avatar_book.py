"""Which avatars exist, and where each comes from: a create call must name its origin."""

import difflib
import threading
from collections.abc import Callable, Iterable, Mapping

from akool_dagster.akool import Avatar, AvatarSource


class UnknownAvatar(LookupError):
    """An ``avatar_id`` that AKOOL does not list; asking for it would be refused."""


class AvatarBook:
    """Looks avatars up in the saved catalog, and in AKOOL's list where that does not help.

    Args:
        saved: Source by ``avatar_id``, as the catalog asset saved it.
        fetch: Reads AKOOL's list of avatars; called at most once, and only when needed.
    """

    def __init__(
        self, *, saved: Mapping[str, AvatarSource], fetch: Callable[[], Iterable[Avatar]]
    ) -> None:
        self._sources = dict(saved)
        self._fetch = fetch
        self._fetched = False
        self._lock = threading.Lock()

    def source(self, avatar_id: str) -> AvatarSource:
        """Tells where an avatar comes from.

        Args:
            avatar_id: The id that a manifest names.

        Returns:
            Its source; an avatar that AKOOL lists without one counts as official.

        Raises:
            UnknownAvatar: Neither the saved catalog nor AKOOL's list has it.
        """
        with self._lock:
            if avatar_id not in self._sources and not self._fetched:
                listed = self._fetch()
                self._sources.update(
                    {a.avatar_id: a.source or AvatarSource.OFFICIAL for a in listed}
                )
                self._fetched = True
            if avatar_id in self._sources:
                return self._sources[avatar_id]
            near = difflib.get_close_matches(avatar_id, self._sources, n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        raise UnknownAvatar(
            f"avatar_id {avatar_id!r} is not among the {len(self._sources)} avatars that AKOOL "
            f"lists for this account.{hint}"
        )

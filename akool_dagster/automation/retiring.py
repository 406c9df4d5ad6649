"""Takes manifests out of Dagster's partition sets, so that its UI stays fast; deletes nothing.

Every step can be taken again, and each leaves a state that costs nothing: first the file moves
away, so that nobody validates it; then the manifest's own key goes, so that no sensor and no
schedule asks for its scripts; then their keys. What was made, the ledger, and Dagster's record of
runs and materializations stay. The file put back brings the same keys back, as they were.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg
import sqlalchemy as sa
from dagster._core.execution.backfill import (
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.storage.event_log.schema import DynamicPartitionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.legacy_storage import LegacyEventLogStorage
from upath import UPath

from akool_dagster.automation.live_runs import keys_by_run
from akool_dagster.batch.open_work import open_work
from akool_dagster.ledger import Ledger
from akool_dagster.manifest import read_scripts
from akool_dagster.partitions import manifest_of
from akool_dagster.storage import Storage

YOUNG_SECONDS = 900.0
"""So long a started run is believed to be at work without having given a sign of life."""

_IN_PROGRESS = (BulkActionStatus.REQUESTED, BulkActionStatus.CANCELING, BulkActionStatus.FAILING)
_CHUNK = 5_000  # older SQLite takes no more values in one statement


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A manifest that is to be retired.

    Attributes:
        name: Its name.
        keys: Its scripts in the partition set, in its order.
        is_known: Whether the manifest itself is in its partition set.
        rows: Rows of its validated file; 0 when it was never validated.
        unfinished: How many rows have no video, by where they stand.
        in_the_way: What keeps it from being retired, one sentence each.
    """

    name: str
    keys: tuple[str, ...]
    is_known: bool
    rows: int = 0
    unfinished: Mapping[str, int] = field(default_factory=dict)
    in_the_way: tuple[str, ...] = ()


class Retiring:
    """Retires manifests.

    Args:
        instance: The Dagster instance.
        ledger: The ledger.
        storage: The data root.
        unfinished_too: Whether rows without a video may go as well.
    """

    def __init__(
        self,
        instance: dg.DagsterInstance,
        *,
        ledger: Ledger,
        storage: Storage,
        unfinished_too: bool,
    ) -> None:
        self._instance = instance
        self._ledger = ledger
        self._storage = storage
        self._unfinished_too = unfinished_too

    def look(self, names: Sequence[str]) -> list[Candidate]:
        """Looks at manifests, and for whatever keeps them from being retired; changes nothing.

        Args:
            names: The manifests.

        Returns:
            One candidate for each.
        """
        scripts = list(self._instance.get_dynamic_partitions("scripts"))
        manifests = list(self._instance.get_dynamic_partitions("manifests"))
        at_work = self._at_work(scripts, manifests)
        keys: dict[str, list[str]] = {name: [] for name in names}
        for key in scripts:
            if (name := manifest_of(key)) in keys:
                keys[name].append(key)
        return [
            self._candidate(name, keys[name], is_known=name in manifests, at_work=at_work)
            for name in names
        ]

    def retire(self, names: Sequence[str]) -> list[Candidate]:
        """Retires manifests, all of them or none; may be called again after a kill at any point.

        Args:
            names: The manifests.

        Returns:
            One candidate for each. Where anything is in the way of one, none was retired: what
            began after the last look is seen after the doors are closed, and they open again.
        """
        before = self.look(names)
        if any(candidate.in_the_way for candidate in before):
            return before
        closed = [c.name for c in before if c.is_known or files_of(self._storage, c.name)]
        for name in closed:
            self._storage.retire_manifest(name)
            self._instance.delete_dynamic_partition("manifests", name)
        candidates = self.look(names)
        if any(candidate.in_the_way for candidate in candidates):
            for name in closed:
                self._storage.restore_manifest(name)
            known = [candidate.name for candidate in before if candidate.is_known]
            self._instance.add_dynamic_partitions("manifests", known)
            return candidates
        for candidate in candidates:
            unregister_scripts(self._instance, list(candidate.keys))
        return candidates

    def _at_work(self, scripts: Sequence[str], manifests: Sequence[str]) -> dict[str, set[str]]:
        """Finds what handles scripts or manifests now: their names, by what does."""
        signs = self._ledger.run_signs
        found: dict[str, set[str]] = {}
        for keys in (scripts, manifests):
            runs = keys_by_run(self._instance, keys, signs=signs, young_seconds=YOUNG_SECONDS)
            for run_id, handled in runs.items():
                found.setdefault(f"Run {run_id}", set()).update(map(manifest_of, handled))
        every = {manifest_of(key) for key in scripts} | set(manifests)
        for backfill, handled in keys_by_backfill(self._instance).items():
            names = every if handled is None else set(map(manifest_of, handled))
            found[f"Backfill {backfill}"] = names
        return found

    def _candidate(
        self, name: str, keys: Sequence[str], *, is_known: bool, at_work: Mapping[str, set[str]]
    ) -> Candidate:
        reasons = [
            f"{what} is at work on it. Wait until it has ended, or cancel it."
            for what, names in at_work.items()
            if name in names
        ]
        reasons += self._namesakes(name)
        path = self._storage.scripts_path(name)
        if not path.exists():
            if not self._unfinished_too:
                reasons.append(
                    "It was never validated, and nothing was made of it. Say --unfinished-too to "
                    "retire it nevertheless."
                )
            return Candidate(
                name=name, keys=tuple(keys), is_known=is_known, in_the_way=tuple(reasons)
            )
        manifest = read_scripts(path)
        work = open_work(self._ledger, manifest)
        reasons += work.in_the_way
        if not self._unfinished_too:
            reasons += _left(work.unfinished, is_changed=self._is_changed(name, manifest.sha256))
        return Candidate(
            name=name,
            keys=tuple(keys),
            is_known=is_known,
            rows=work.rows,
            unfinished=work.unfinished,
            in_the_way=tuple(reasons),
        )

    def _is_changed(self, name: str, sha256: str) -> bool:
        validated_at = _changed_at(self._storage.scripts_path(name))
        return any(
            hashlib.sha256(path.read_bytes()).hexdigest() != sha256
            or any(_changed_at(one) > validated_at for one in self._storage.companions(path))
            for path in files_of(self._storage, name)
        )

    def _namesakes(self, name: str) -> Iterator[str]:
        files = files_of(self._storage, name)
        if len(files) > 1:
            yield f"{' and '.join(path.name for path in files)} both have its name: rename one."
        retired = [path for path in self._storage.retired_manifests() if path.stem == name]
        if len({path.read_bytes() for path in (*files, *retired)}) > 1 and retired:
            yield f"{retired[0]} was retired before and has another content: rename one of the two."


def files_of(storage: Storage, name: str) -> list[UPath]:
    """Finds the files of a manifest that are not retired.

    Args:
        storage: The data root.
        name: The manifest.

    Returns:
        The file; none when it is retired or was deleted.
    """
    return [path for path in storage.manifests() if path.stem == name]


def _changed_at(path: UPath) -> float:
    """Seconds since 1970 UTC; 0 where the storage does not tell."""
    return float(path.stat().st_mtime or 0.0)


def _left(unfinished: Mapping[str, int], *, is_changed: bool) -> Iterator[str]:
    if is_changed:
        yield (
            "Its file, or one that goes with it, was changed since it was validated. Let "
            "manifest_sensor validate it, or say --unfinished-too."
        )
    if unfinished:
        count = sum(unfinished.values())
        counts = ", ".join(f"{number:,} {standing}" for standing, number in unfinished.items())
        yield (
            f"{count:,} script{' has' if count == 1 else 's have'} no video ({counts}). Run it, "
            "or say --unfinished-too."
        )


def keys_by_backfill(instance: dg.DagsterInstance) -> dict[str, set[str] | None]:
    """Finds the partitions that each backfill in progress handles.

    Args:
        instance: The Dagster instance.

    Returns:
        Partition keys, of scripts and of manifests, by id of the backfill; None for a backfill
        that does not tell.
    """
    filters = BulkActionsFilter(statuses=list(_IN_PROGRESS))
    return {
        backfill.backfill_id: _keys_of_backfill(backfill)
        for backfill in instance.get_backfills(filters=filters)
    }


def _keys_of_backfill(backfill: PartitionBackfill) -> set[str] | None:
    if backfill.asset_backfill_data is not None:
        targets = backfill.asset_backfill_data.target_subset.iterate_asset_partitions()
        return {target.partition_key for target in targets if target.partition_key is not None}
    return None if backfill.partition_names is None else set(backfill.partition_names)


def unregister_scripts(instance: dg.DagsterInstance, keys: list[str]) -> None:
    """Takes script keys out of their partition set; what Dagster recorded about them stays.

    Dagster's own ``delete_dynamic_partition`` takes one key, and a transaction, at a time: minutes
    for ten thousand. It has no other, so its table is written to, where it is known.

    Args:
        instance: The Dagster instance.
        keys: The keys; those that are not in the set are left out.
    """
    storage = instance.event_log_storage
    if isinstance(storage, LegacyEventLogStorage):  # dagster.yaml names one storage for all
        storage = storage._storage.event_log_storage  # noqa: SLF001
    if not isinstance(storage, SqlEventLogStorage):
        for key in keys:
            instance.delete_dynamic_partition("scripts", key)
        return
    table = DynamicPartitionsTable
    mine = table.c.partitions_def_name == "scripts"
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        with storage.index_connection() as connection:
            connection.execute(sa.delete(table).where(mine, table.c.partition.in_(chunk)))

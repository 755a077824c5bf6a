"""How long each planned test takes: a smoothed mean, kept in the lab's store.

>>> from pathlib import Path
>>> from tempfile import TemporaryDirectory
>>> from harness.rigs.store import Store, sqlite_url
>>> with TemporaryDirectory() as folder, Store(sqlite_url(Path(folder))) as store:
...     durations = Durations(store)
...     durations.keep({"ioc/test_reads": 10.0})
...     durations.keep({"ioc/test_reads": 20.0})
...     durations.expected(["ioc/test_reads", "ioc/test_new"])
{'ioc/test_reads': 15.0}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.rigs.store import Store


class Durations:
    """What tests are expected to take, from what they took: seconds, by the ids of planned tests.

    The newest measurement counts a fifth at least, so that the mean follows a test that has changed.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def expected(self, tests: Iterable[str]) -> dict[str, float]:
        """Of those tests that were ever measured."""
        from harness.rigs import duration_rows

        return self._store.read(duration_rows.expected(tuple(tests)))

    def keep(self, measured: Mapping[str, float]) -> None:
        """Take new measurements into the means, all or none.

        Where the end of a try is not known one may count twice, which does no harm.
        """
        from harness.rigs import duration_rows

        if measured:
            self._store.write(duration_rows.keep(measured))

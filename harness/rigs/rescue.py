"""A dead owner's last act: a guard that outlives it makes its bench safe, if the rig is still the dead one's.

This module loads SQLAlchemy: it is imported in the guard's own process, once its parent has died.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final

from harness.rigs import lease_rows
from harness.rigs.lease_words import NoSuchRig, RigTaken
from harness.rigs.leases import Leases
from harness.rigs.store import Store

_LEFT: Final = "its owner died; its bench was made safe, and nothing was checked"


@contextmanager
def permitted(
    url: str, lease: str, rigs: Sequence[str], owner: str, expiry: float, hands_on: bool
) -> Iterator[str]:
    """Why nobody may act on the rigs for the owner of a lease, who has died; nothing where it may be done.

    Nobody else gets them while the block lasts: the lease is renewed once, or, where a rig was found dirty by
    then, it is taken for cleaning and left dirty, for what it is made is safe and not checked. Raises a
    ``StoreFault`` where nobody can tell.
    """
    with ExitStack() as held:
        store = held.enter_context(Store(url))
        if lease in store.write(lease_rows.renew([lease], (), round(expiry * 1e6)), alone=False):
            yield ""
            return
        leases = held.enter_context(Leases(store, owner, expiry=expiry, hands_on=hands_on))
        try:
            for rig in rigs:
                cleaning = leases.take_dirty(rig, "its guard makes its bench safe")
                held.callback(cleaning.release, _LEFT)
        except (RigTaken, NoSuchRig) as taken:
            yield taken.message
            return
        yield ""

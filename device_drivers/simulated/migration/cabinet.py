"""The head end's keys as a device holds them, and their transfer under the device's master key.

A key is wrapped (RFC 3394) and transferred as method 2 of the security setup (class 64, Blue Book 4.4.7).
The answer still goes under the old keys; then the association is over.
"""

from __future__ import annotations

from typing import Any, Final

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from device_drivers.dlms.counters import CounterStore, received_from
from device_drivers.dlms.data import Data, Tag, array, enum, octets, structure
from device_drivers.dlms.refs import MethodRef
from device_drivers.dlms.security import Association
from device_drivers.simulated.cosem import MANAGEMENT, TwinModel
from device_drivers.simulated.keys import client_title
from device_drivers.simulated.migration.keys import HEAD_END, HeadEndKeys
from harness.domain.errors import AccessRefused

KEY_TRANSFER: Final = MethodRef(64, "0-0:43.0.0", 2)
COMMAND: Final = "key_transfer"
"""Under which name a transfer passes the faults of a twin (Point.ACTION)."""
_ENCRYPTION, _AUTHENTICATION = 0, 2  # key ids: global unicast encryption key, authentication key
_UNFIT: Final = "type-unmatched"


class KeyCabinet:
    """One device's master key and its head end's pair. ``generation`` counts the changes of the pair."""

    def __init__(self, keys: HeadEndKeys, master: bytes) -> None:
        self.keys = keys
        self.generation = 0
        self._master = master

    def put(self, keys: HeadEndKeys) -> None:
        """Put another pair in, as the device's maker would."""
        if keys != self.keys:
            self.keys = keys
            self.generation += 1

    def association(self) -> Association:
        """What the device's server asks of its head end."""
        return Association(
            HEAD_END,
            "hls-gmac",
            encryption_key=self.keys.encryption,
            authentication_key=self.keys.authentication,
            client_title=client_title(HEAD_END),
        )

    def transfer(self, wrapped: dict[int, bytes]) -> None:
        """Take keys by their ids, each wrapped under the master key: all of them, or none."""
        try:
            plain = {id_: aes_key_unwrap(self._master, key) for id_, key in wrapped.items()}
            keys = HeadEndKeys(
                plain.get(_ENCRYPTION, self.keys.encryption),
                plain.get(_AUTHENTICATION, self.keys.authentication),
            )
            keys.credentials()  # as long as keys of the suite are
        except (InvalidUnwrap, ValueError):
            raise AccessRefused("a key is not wrapped under the master key", result="other-reason") from None
        self.put(keys)


class GenerationCounters:
    """A device's counters: those of its head end begin anew with each pair of keys."""

    def __init__(self, counters: CounterStore, cabinet: KeyCabinet) -> None:
        self._counters = counters
        self._cabinet = cabinet

    def next(self, name: str) -> int:
        """The next number."""
        return self._counters.next(self._named(name))

    def last(self, name: str) -> int:
        """The highest number so far."""
        return self._counters.last(self._named(name))

    def raise_to(self, name: str, value: int) -> None:
        """Count a number as used."""
        self._counters.raise_to(self._named(name), value)

    def _named(self, name: str) -> str:
        return f"{name}-{self._cabinet.generation}" if name == received_from(HEAD_END) else name


class KeyedModel(TwinModel):
    """A twin's objects, and the security setup through which its head end's keys are changed."""

    def action(self, ref: MethodRef, data: Data | None, client: int) -> Data | None:
        """As of every twin; a key transfer is for the head end and for the lab's management access."""
        if ref != KEY_TRANSFER:
            return super().action(ref, data, client)
        if client not in {MANAGEMENT, HEAD_END}:
            raise AccessRefused(f"{ref} is not for client {client}", result="read-write-denied")
        self._twin.act(COMMAND, _read(data), client)
        return None


def transfer_of(keys: HeadEndKeys, master: bytes) -> Data:
    """The argument of a key transfer: both keys of a pair, wrapped."""
    pairs = ((_ENCRYPTION, keys.encryption), (_AUTHENTICATION, keys.authentication))
    return array(*(structure(enum(id_), octets(aes_key_wrap(master, key))) for id_, key in pairs))


def _read(data: Data | None) -> dict[int, bytes]:
    if data is None or data.tag is not Tag.ARRAY or not data.value:
        raise AccessRefused("a key transfer has an array of keys", result=_UNFIT)
    return dict(_entry(entry) for entry in data.value)


def _entry(entry: Any) -> tuple[int, bytes]:
    fields: tuple[Any, ...] = entry.value if isinstance(entry, Data) and entry.tag is Tag.STRUCTURE else ()
    if len(fields) != 2 or (fields[0].tag, fields[1].tag) != (Tag.ENUM, Tag.OCTET_STRING):
        raise AccessRefused("a key is transferred as its id and its wrapped octets", result=_UNFIT)
    if fields[0].value not in {_ENCRYPTION, _AUTHENTICATION}:
        raise AccessRefused(f"no key has the id {fields[0].value}", result=_UNFIT)
    return fields[0].value, fields[1].value

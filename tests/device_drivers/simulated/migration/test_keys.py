"""Key material in halves, and a device's keys that change under its master key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from device_drivers.dlms.client import AssociationRefused, DlmsClient, ServiceRefused
from device_drivers.dlms.counters import MemoryCounters
from device_drivers.dlms.data import array, enum, octets, structure
from device_drivers.simulated.keys import KeyRing, key_ring
from device_drivers.simulated.migration.cabinet import KEY_TRANSFER, transfer_of
from device_drivers.simulated.migration.keys import (
    HEAD_END,
    Half,
    HeadEndKeys,
    disclosed,
    enrolled_keys,
    halves,
    joined,
    keys_of,
    master_key,
    sealed,
    smso_keys,
    unsealed,
)
from device_drivers.simulated.rig import Site, build_twins, stand_up
from device_drivers.simulated.s1sp.sessions import HubChannel
from device_drivers.simulated.wan.head import WanHead
from harness.config import load_lab
from harness.domain.errors import AccessRefused, ProtocolViolation
from harness.domain.lab import Lab
from harness.domain.migration import KeyHolder
from harness.domain.words import DeviceType

REPO = Path(__file__).parents[4]
METER = "00-DB-12-34-56-01-00-01"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return load_lab(REPO / "lab_config" / "simulated.yaml", state=tmp_path_factory.mktemp("state"))


@pytest.fixture
def ring(lab: Lab) -> KeyRing:
    return key_ring(lab)


def test_two_halves_make_the_keys_and_one_tells_nothing_of_the_other(ring: KeyRing) -> None:
    first, second = halves(ring, METER)
    assert joined(first, second) == (smso_keys(ring, METER), master_key(ring, METER))
    master = master_key(ring, METER)
    assert master not in {first.share, second.share}
    assert halves(ring, METER)[0].share != first.share  # another mask each time


def test_without_a_master_key_no_share_is_given(ring: KeyRing) -> None:
    assert [half.share for half in halves(ring, METER, master=False)] == [b"", b""]


def test_only_who_it_is_sealed_for_reads_key_material() -> None:
    own, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    parts = {METER: Half(b"k" * 16, b"s" * 16)}
    content = sealed(parts, own.public_key())
    assert unsealed(content, own) == parts
    for key, changed in ((other, content), (own, content[:-1] + b"\0"), (own, b""), (own, content[:70])):
        with pytest.raises(ProtocolViolation):
            unsealed(changed, key)


def test_a_key_is_found_in_whatever_form_it_stands_there() -> None:
    secrets = {"one": bytes(range(16)), "other": bytes(range(50, 66))}
    for form in (b"\0\1\2\3", b"000102030405060708090A0B0C0D0E0F", b"AAECAwQFBgcICQoLDA0ODw=="):
        content = b"<a>" + (bytes(range(16)) if form == b"\0\1\2\3" else form) + b"</a>"
        assert disclosed(content, secrets) == ("one",)
    assert disclosed(b"<a>nothing</a>", secrets) == ()


class Bed:
    """A rig whose hub is connected, and what opens a device over it."""

    def __init__(self, lab: Lab, held: ExitStack) -> None:
        rig = lab.rig("ioc-1")
        assert rig.simulation is not None
        twins = build_twins(replace(rig, simulation=replace(rig.simulation, wan="up")), 7)
        self.ring = key_ring(lab)
        self.site: Site = stand_up(rig, lab, twins, held)
        self._head = WanHead()
        held.callback(self._head.close)
        held.callback(twins.hub.connect(self._head.address).close)
        self._counters = MemoryCounters()

    def opened(self, keys: HeadEndKeys, type_: DeviceType = DeviceType.ESME) -> DlmsClient:
        devices = self.site.rig.devices
        channel = HubChannel(self._head, devices[DeviceType.CH].device_id, devices[type_].device_id, HEAD_END)
        client = DlmsClient(channel, keys.credentials(), self._counters)
        client.open()
        return client

    def opens(self, keys: HeadEndKeys, type_: DeviceType = DeviceType.ESME) -> bool:
        try:
            self.opened(keys, type_)
        except (AssociationRefused, ServiceRefused):
            return False
        return True


@pytest.fixture
def bed(lab: Lab) -> Iterator[Bed]:
    with ExitStack() as held:
        yield Bed(lab, held)


def test_transferred_keys_open_the_device_and_the_old_ones_do_not(bed: Bed) -> None:
    old, new = enrolled_keys(bed.ring, METER), smso_keys(bed.ring, METER)
    client = bed.opened(old)
    client.action(KEY_TRANSFER, transfer_of(new, master_key(bed.ring, METER)))  # answered under the old keys
    with pytest.raises((ServiceRefused, ProtocolViolation)):
        client.action(KEY_TRANSFER, transfer_of(old, master_key(bed.ring, METER)))  # and then it is over
    assert (bed.opens(new), bed.opens(old)) == (True, False)
    assert bed.site.twins.esme is not None
    assert bed.site.twins.esme.rows("security_log")[-1][1] == 0x0083


@pytest.mark.parametrize("spoilt", ["master", "second", "form", "id"])
def test_keys_that_cannot_be_taken_leave_both_as_they_were(bed: Bed, spoilt: str) -> None:
    old, new = enrolled_keys(bed.ring, METER), smso_keys(bed.ring, METER)
    right = transfer_of(new, master_key(bed.ring, METER))
    argument = {
        "master": transfer_of(new, bytes(16)),
        "second": array(right.value[0], structure(enum(2), octets(bytes(24)))),
        "form": array(structure(enum(0))),
        "id": array(structure(enum(1), right.value[0].value[1])),
    }[spoilt]
    with pytest.raises(AccessRefused):
        bed.opened(old).action(KEY_TRANSFER, argument)
    assert bed.opens(old)


def test_each_device_has_keys_of_its_own_and_nobody_opens_one_alone(bed: Bed) -> None:
    for type_, device in bed.site.rig.devices.items():
        opening: Callable[[HeadEndKeys], bool] = lambda keys, type_=type_: bed.opens(keys, type_)  # noqa: E731
        found = {holder for holder in KeyHolder if opening(keys_of(bed.ring, device.device_id, holder))}
        assert found == {KeyHolder.S1SP_AND_DCO}
    assert not bed.opens(enrolled_keys(bed.ring, METER), DeviceType.GSME)

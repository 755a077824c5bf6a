"""An S1SP that starts again knows what it has carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from device_drivers.dlms.counters import FileCounters
from device_drivers.simulated.s1sp.executed import Executed
from device_drivers.simulated.s1sp.s1sp import S1sp
from harness.domain.errors import ConfigurationError
from harness.domain.faults import Interceptions, Place
from harness.domain.words import DeviceType

ESME = DeviceType.ESME


def restarted(bed: Any, folder: Path) -> S1sp:
    """A new S1SP behind the same hub, which has forgotten all that it has not kept."""
    invocations = FileCounters(folder / "invocations")
    executed = Executed(folder / "executed")
    return S1sp(bed.lab, bed.head, Interceptions(Place.S1SP, 7, ()), invocations, executed)


def test_a_request_of_before_a_restart_is_not_carried_out_again(bed: Any, tmp_path: Path) -> None:
    bed.s1sp = restarted(bed, tmp_path)
    request = bed.request("7.2", ESME)
    assert bed.s1sp.perform(request).success
    bed.s1sp = restarted(bed, tmp_path)
    bed.twin(ESME).act("reconnect")
    again = bed.s1sp.perform(request)
    assert not again.success
    assert "last one used" in again.debug[0][1]
    assert bed.twin(ESME).get("supply_state") == "Enabled"
    bed.done("7.4", ESME)


def test_what_was_executed_on_one_device_is_not_held_against_another(tmp_path: Path) -> None:
    Executed(tmp_path).keep("00-DB-12-34-56-78-90-A0", {"user": 7})
    assert Executed(tmp_path).of("00-db-12-34-56-78-90-a0") == {"user": 7}
    assert Executed(tmp_path).of("00-DB-12-34-56-78-90-A1") == {}


@pytest.mark.parametrize("content", ["", "[]", "{}x", '{"user": "many"}'])
def test_a_file_that_is_none_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "A.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"A\.json"):
        Executed(tmp_path).of("A")

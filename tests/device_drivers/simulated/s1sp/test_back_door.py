"""Past the gateway: an S1SP believes the countersignature, and nothing else."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from device_drivers.dcc import tree
from device_drivers.dcc.compose import write_request
from device_drivers.simulated.gateway.back_door import BackDoor
from harness.domain.errors import UsageError
from harness.domain.words import DeviceType

ESME = DeviceType.ESME


def asked(bed: Any, how: str) -> dict[str, Any]:
    request = bed.request("7.2", ESME)
    content = tree.body_element(bed.lab.catalogue["7.2"].body_element, None)
    signer = bed.signer_of(request.originator)
    xml = signer.sign(write_request(bed.message(request), content, "5.4"))
    door = BackDoor(bed.lab, bed.s1sp)
    return door.ask({"xml": base64.b64encode(xml).decode(), "how": how})


def test_what_is_countersigned_rightly_is_done(bed: Any) -> None:
    assert asked(bed, "rightly") == {"done": True, "told": ""}
    assert bed.twin(ESME).get("supply_state") == "Disabled"


@pytest.mark.parametrize("how", ["none", "stranger", "another"])
def test_what_is_not_is_refused_for_that(bed: Any, how: str) -> None:
    told = asked(bed, how)
    assert not told["done"]
    assert told["told"].startswith("countersignature: ")
    assert bed.twin(ESME).get("supply_state") == "Enabled"


def test_what_comes_twice_is_done_once(bed: Any) -> None:
    told = asked(bed, "again")
    assert not told["done"]
    assert "last one used" in told["told"]


def test_another_way_is_not_known(bed: Any) -> None:
    with pytest.raises(UsageError, match="nobody countersigns"):
        asked(bed, "politely")

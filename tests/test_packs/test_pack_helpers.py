"""What the packs compare with must itself be right: what a log gained, and the bodies that are sent."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from device_drivers.dcc.tree import body_element
from harness.domain.instruments import Forgery
from harness.domain.misuse import Alteration
from harness.domain.words import DeviceType
from harness.records.evidence import AttemptEvidence
from test_packs.arrange import added_rows
from test_packs.metering import expect_sum
from test_packs.prepayment import configuration, debt
from test_packs.refusals import words
from test_packs.tariffs import Switch, Tariff, all_day

SCHEMA = Path(__file__).parents[2] / ".." / "shared" / "spec" / "schemas" / "DUIS_V5.4.xsd"


@pytest.mark.parametrize(
    ("before", "after", "added"),
    [
        ("abc", "abcd", "d"),
        ("abc", "bcde", "de"),  # the oldest was lost
        ("abc", "xy", "xy"),  # all were lost
        ("abc", "", ""),  # the log was cleared
        ("aab", "aabb", "b"),  # equal rows are told apart by their place
        ("", "a", "a"),
    ],
)
def test_a_log_tells_what_it_gained(before: str, after: str, added: str) -> None:
    assert added_rows(before, after) == tuple(added)


@pytest.mark.parametrize(
    ("forgery", "told"),
    [
        (Forgery(counter="lowered"), "counter lowered"),
        (Forgery(signature="broken", command_variant=8), "signature broken, command variant 8"),
        (Forgery(alteration=Alteration.ENTITY), f"alteration {Alteration.ENTITY}"),
    ],
)
def test_a_check_says_what_is_wrong_with_a_request(forgery: Forgery, told: str) -> None:
    assert words(forgery) == told


def test_a_profile_that_is_not_what_the_register_moved_by_names_both(tmp_path: Path) -> None:
    evidence = AttemptEvidence(tmp_path / "evidence")
    with pytest.raises(AssertionError) as raised:
        expect_sum(evidence, "the profile", "active_import", Decimal(1530), Decimal(0))
    evidence.close()
    assert str(raised.value) == (
        "active_import, Wh: the profile adds up to (found) what the register moved by (expected): "
        "expected 0, found 1530"
    )


class _Meter:
    def __init__(self, device_type: DeviceType) -> None:
        self.device_type = device_type


def _tariff(device_type: DeviceType) -> Tariff:
    electricity = device_type is DeviceType.ESME
    switched = (Switch(0, 0, "tou", 2), Switch(16, 30, "block", 3)) if electricity else all_day("block", 1)
    return Tariff(
        days=(all_day("tou", 1), switched),
        seasons=((3, 1, 1), (None, None, 1)),
        special_days=((date(2031, 12, 25), 2),),
        tou_prices=(24_310, 11_870) if electricity else (),
        block_prices=((1, 2, 3, 4),),
        thresholds=((100, 200, 300),),
        standing_charge=1,
    )


@pytest.mark.parametrize("device_type", [DeviceType.ESME, DeviceType.GSME])
def test_the_bodies_that_packs_send_are_valid(device_type: DeviceType) -> None:
    if not SCHEMA.exists():
        pytest.skip("the DUIS schema is not beside the repository")
    from lxml import etree

    schema = etree.XMLSchema(etree.parse(SCHEMA))
    meter: Any = _Meter(device_type)
    tariff = _tariff(device_type)
    for name, body in (
        ("UpdateImportTariffPrimaryElement", tariff.body(meter)),
        ("UpdatePricePrimaryElement", tariff.prices(meter)),
        ("UpdatePrepayConfiguration", configuration(meter, {"START": "16:00", "STOP": "09:00"})),
        ("UpdateDebt", debt(meter)),
    ):
        request = _around(body_element(name, body))
        assert schema.validate(request), f"{name}: {schema.error_log.last_error}"


def _around(body: Any) -> Any:
    """A request with this body, valid in all else."""
    from lxml import etree

    namespace = "{http://www.dccinterface.co.uk/ServiceUserGateway}"
    request = etree.Element(f"{namespace}Request", schemaVersion="5.4")
    header = etree.SubElement(request, f"{namespace}Header")
    for name, text in (
        ("RequestID", "00-DB-12-34-90-00-00-01:00-DB-12-34-56-01-00-01:1"),
        ("CommandVariant", "1"),
        ("ServiceReference", "1.1"),
        ("ServiceReferenceVariant", "1.1.1"),
    ):
        etree.SubElement(header, f"{namespace}{name}").text = text
    etree.SubElement(request, f"{namespace}Body").append(body)
    return request

"""Parameters in SNRM and UA."""

from __future__ import annotations

import pytest

from device_drivers.dlms.hdlc.negotiation import DEFAULTS, Parameters, agreed, both_ways, encode, parse
from harness.domain.errors import ConfigurationError, ProtocolViolation

PUBLISHED = bytes.fromhex("818012050180060180070400000001080400000001")


def test_the_published_parameters_are_read_and_written() -> None:
    assert parse(PUBLISHED) == DEFAULTS
    assert encode(DEFAULTS) == PUBLISHED


def test_what_is_missing_has_its_default() -> None:
    assert parse(b"") == DEFAULTS
    assert parse(bytes.fromhex("818000")) == DEFAULTS
    assert parse(bytes.fromhex("8180040602 07ee")) == Parameters(receive_field=2030)


def test_lengths_of_values_and_parameters_of_others_do_not_matter() -> None:
    group = bytes.fromhex("05020080 0604000007ee 070103 08020005 0900 fe03010203")
    assert parse(bytes((0x81, 0x80, len(group))) + group) == Parameters(128, 2030, 3, 5)


def test_each_direction_is_agreed_for_itself() -> None:
    ours = Parameters(512, 2030, 3, 7)
    theirs = Parameters(1024, 256, 5, 2)
    assert agreed(ours, theirs) == Parameters(256, 1024, 2, 5)
    assert agreed(theirs, ours) == Parameters(1024, 256, 5, 2)


@pytest.mark.parametrize("parameters", [Parameters(2030, 128, 7, 1), Parameters(255, 256, 1, 7), DEFAULTS])
def test_what_is_written_is_read(parameters: Parameters) -> None:
    assert parse(encode(parameters)) == parameters


@pytest.mark.parametrize(
    "raw",
    ["00", "8181", "818005", "8180020501", "81800205", "818003050100", "818003070100", "8180020500"],
)
def test_parameters_that_cannot_be_are_a_violation(raw: str) -> None:
    with pytest.raises(ProtocolViolation, match="HDLC"):
        parse(bytes.fromhex(raw))


@pytest.mark.parametrize(("field", "window"), [(127, 1), (2031, 1), (128, 0), (128, 8)])
def test_a_proposal_that_the_standard_does_not_allow_is_a_matter_of_configuration(field, window) -> None:
    with pytest.raises(ConfigurationError, match=f"field {field} and window {window}"):
        both_ways(field, window)

"""Values and the words that they are: types, units, scales, word order, bounds."""

from __future__ import annotations

import random
from decimal import Decimal
from fractions import Fraction

import pytest

from device_drivers.bench.modbus.points import decode, encode, runs
from device_drivers.bench.modbus.reference import ReferenceMeters
from harness.domain.bench import Point, RegisterMap, Table, ValueType, WordOrder
from harness.domain.errors import BenchFault

HOLDING = Table.HOLDING_REGISTER


def point(type_: ValueType, factor: Fraction = Fraction(1), name: str = "other.x", **more) -> Point:
    return Point(name=name, table=HOLDING, address=more.pop("address", 0), type=type_, factor=factor, **more)


@pytest.mark.parametrize(
    ("type_", "value", "words"),
    [
        (ValueType.U16, 65_535, (0xFFFF,)),
        (ValueType.S16, -2, (0xFFFE,)),
        (ValueType.U32, 0x12345678, (0x1234, 0x5678)),
        (ValueType.S32, -1, (0xFFFF, 0xFFFF)),
        (ValueType.U64, 1, (0, 0, 0, 1)),
        (ValueType.S64, -(2**63), (0x8000, 0, 0, 0)),
        (ValueType.F32, Decimal("1.5"), (0x3FC0, 0)),
    ],
)
def test_a_number_of_each_type(type_, value, words) -> None:
    assert encode(point(type_), Decimal(value)) == words
    assert decode(point(type_), words) == value
    turned = point(type_, word_order=WordOrder.LITTLE)
    assert encode(turned, Decimal(value)) == words[::-1]
    assert decode(turned, words[::-1]) == value


def test_a_step_is_a_step_and_the_nearest_is_taken() -> None:
    volts = point(ValueType.U16, Fraction(1, 10))
    assert encode(volts, Decimal("230.04")) == (2300,)
    assert encode(volts, Decimal("230.06")) == (2301,)
    pulses = point(ValueType.U32, Fraction(1000, 75))  # Wh for each turn of a disc
    assert decode(pulses, (0, 3)) == 40


def test_what_was_decoded_is_encoded_to_the_same() -> None:
    choice = random.Random(3)
    for _ in range(3_000):
        type_ = choice.choice([each for each in ValueType if each not in {ValueType.BOOL, ValueType.F32}])
        each = point(type_, Fraction(choice.randint(1, 9), 10 ** choice.randint(0, 9)))
        words = tuple(choice.randint(0, 0xFFFF) for _ in range(type_.words))
        assert encode(each, decode(each, words)) == words


@pytest.mark.parametrize(
    ("type_", "value"),
    [(ValueType.U16, -1), (ValueType.U16, 65_536), (ValueType.S16, 32_768), (ValueType.U32, 2**32),
     (ValueType.S64, 2**63), (ValueType.F32, Decimal("1e40"))],
)  # fmt: skip
def test_what_does_not_fit_is_refused(type_, value) -> None:
    with pytest.raises(BenchFault, match=r"other\.x"):
        encode(point(type_), Decimal(value))


@pytest.mark.parametrize("words", [(0x7FC0, 0), (0x7F80, 0), (0xFF80, 0)])
def test_a_float_that_is_no_number_is_a_bench_fault(words) -> None:
    with pytest.raises(BenchFault, match="has no value for it"):
        decode(point(ValueType.F32), words)


def test_a_relay_that_is_closed_at_rest() -> None:
    relay = Point(name="supply.CH", table=Table.COIL, address=0, inverted=True)
    assert (encode(relay, True), encode(relay, False)) == ((0,), (1,))
    assert (decode(relay, (0,)), decode(relay, (1,))) == (True, False)


def test_points_side_by_side_go_in_one_request() -> None:
    a, b, c = (point(ValueType.U32, name=f"other.{n}", address=n) for n in (2, 4, 8))
    coil = Point(name="other.coil", table=Table.COIL, address=6)
    assert runs((c, coil, b, a)) == [[coil], [a, b], [c]]


class Shelf:
    """Stands for a panel: the words of one point."""

    def __init__(self, *words: int) -> None:
        self.now = words

    def words(self, points):
        return {each.name: self.now for each in points}


def meters(type_: ValueType) -> ReferenceMeters:
    counter = point(type_, Fraction(1, 10), name="reference.active_import")
    names = ("active_export", "reactive_import", "reactive_export", "gas_volume")
    others = {f"reference.{name}": point(type_, name=f"reference.{name}") for name in names}
    return ReferenceMeters(RegisterMap(file=None, points={counter.name: counter, **others}))


def test_a_reference_counter_may_go_round_once() -> None:
    shelf, reference = Shelf(65_530), meters(ValueType.U16)
    reference.begin(shelf)
    shelf.now = (14,)
    assert reference.flow(shelf).active_import == 2


@pytest.mark.parametrize("type_", [ValueType.U16, ValueType.F32])
def test_a_reference_counter_that_goes_backwards_is_a_bench_fault(type_) -> None:
    high, low = encode(point(type_), Decimal(100)), encode(point(type_), Decimal(99))
    shelf, reference = Shelf(*high), meters(type_)
    reference.begin(shelf)
    shelf.now = low
    with pytest.raises(BenchFault, match="went backwards"):
        reference.flow(shelf)

"""No pack test asserts a response code alone: each looks at its device, or says why it cannot."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.pack_readings import Reading, Sources, marks

REPO = Path(__file__).parents[1]
REASON = "reads_no_device"


@pytest.fixture(scope="module")
def packs() -> Sources:
    return Sources.of(REPO / "test_packs")


def looks(sources: Sources, name: str) -> bool:
    path, function = sources.tests[name]
    return Reading(sources, path, function).asserts


def test_each_pack_test_asserts_what_its_device_told_or_says_why_not(packs: Sources) -> None:
    assert len(packs.tests) > 100
    without = [name for name in packs.tests if not looks(packs, name) and not reason(packs, name)]
    assert not without, f"look at the device itself, or mark them with {REASON}(why)"


def test_a_reason_to_look_at_no_device_is_given_in_words_and_where_it_is_needed(packs: Sources) -> None:
    for name, (_, function) in packs.tests.items():
        if any(marks(function, REASON)):
            assert len(reason(packs, name).split()) >= 4, f"{name}: say why it looks at no device"
            assert not looks(packs, name), f"{name} looks at its device: it needs no reason"


def reason(sources: Sources, name: str) -> str:
    _, function = sources.tests[name]
    arguments = [each for call in marks(function, REASON) for each in call.args]
    return " ".join(str(each.value) for each in arguments if isinstance(each, ast.Constant))


# -- that it would find one -------------------------------------------------------------------------


def looks_in(source: str, tmp_path: Path, helper: str = "") -> bool:
    (tmp_path / "helping.py").write_text(helper)
    (tmp_path / "test_it.py").write_text(source)
    (name,) = (sources := Sources.of(tmp_path)).tests
    return looks(sources, name)


@pytest.mark.parametrize(
    "body",
    [
        "    served('7.4', meter)",
        "    told = user.request('7.4', meter)\n    evidence.expect('code', found=told.code, expected='I0')",
        "    before = meter.read('x')\n    evidence.expect('state', found=served('7.4', meter), expected=1)",
        "    meter.write('balance', 5)\n    assert served('4.1.1', meter).integer('Balance') == 5",
        "    meter.snapshot()\n    clock.sleep(5)\n    assert user.strays() == ()",
    ],
)
def test_a_test_that_only_listens_to_the_dcc_is_found(body: str, tmp_path: Path) -> None:
    assert not looks_in(f"def test_it(served, user, meter, clock, evidence):\n{body}\n", tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        "    evidence.expect('state', found=served('7.4', meter), expected=meter.supply())",
        "    before = meter.read('x')\n    served('2.2', meter)\n    assert meter.read('x') - before == 5",
        "    with unchanged(meter):\n        served('7.4', meter)",
        "    with pytest.raises(AccessRefused):\n        meter.write('balance', 5)",
        "    rows = [row.values for row in meter.log('event_log')]\n    codes = set()\n"
        "    codes.add(rows[0])\n    assert 5 in codes",
        "    clock.until(lambda: meter.read('balance') == 5, within=5, what='it')",
        "    held(evidence, meter)",
        "    evidence.expect('flow', found=flowed(bench), expected=5)",
    ],
)
def test_a_test_that_looks_at_its_device_is_seen_to(body: str, tmp_path: Path) -> None:
    helper = (
        "def held(evidence, meter):\n    evidence.expect('x', found=meter.read('x'), expected=1)\n"
        "def flowed(bench):\n    return bench.reference().active\n"
    )
    assert looks_in(f"def test_it(served, meter, bench, evidence):\n{body}\n", tmp_path, helper)

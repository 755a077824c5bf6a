"""What a run meets on a rig is written into that rig's health, and ``harness rigs`` says so."""

from __future__ import annotations

import json
import re

import pytest


def healths(bench) -> dict[str, dict]:
    listed = bench.harness("rigs", "--lab=lab.yaml", "--json")
    assert listed.returncode == 0, listed.stderr
    return {rig["rig"]: rig["health"] for rig in json.loads(listed.stdout)}


def test_lab_faults_in_a_test_and_at_opening_make_their_rigs_suspect(bench) -> None:
    bench.environment["BROKEN_RIGS"] = "ioc-2"
    bench.write_tests("""
    from harness.domain.errors import BenchFault
    @planned
    def test_switches(rig):
        raise BenchFault("load.on was written on and reads off", remedy="look at the relay")
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 1, output
    found = healths(bench)
    assert {rig: health["state"] for rig, health in found.items()} == {"ioc-1": "suspect", "ioc-2": "suspect"}
    told = {
        rig: (health["fault"]["family"], health["fault"]["message"], health["fault"]["remedy"])
        for rig, health in found.items()
    }
    assert told == {
        "ioc-1": ("BenchFault", "load.on was written on and reads off", "look at the relay"),
        "ioc-2": ("LabFault", "rig ioc-2: its probe is not there", "plug it in"),
    }
    assert {health["fault"]["run"] for health in found.values()} == {"run run"}
    listed = bench.harness("rigs", "--lab=lab.yaml")
    assert listed.stdout.count("suspect") == 2
    said = r"ioc-1 is suspect since \S+Z, run run: BenchFault: load\.on was written on and reads off"
    assert re.search(said, listed.stderr)


@pytest.mark.parametrize("where", ["teardown", "put down"])
def test_a_fault_after_the_test_itself_makes_its_rig_suspect_and_no_other(bench, where: str) -> None:
    bench.environment["STUCK_BENCHES"] = "ioc-1" if where == "put down" else ""
    bench.write_tests(f"""
    from harness.domain.errors import DeviceFault, TransportLost
    @pytest.fixture
    def shaky(rig):
        yield rig
        if rig.rig.id == "ioc-1" and {where == "teardown"}:
            raise TransportLost("the probe was pulled")
    @planned
    def test_works(shaky):
        Path(shaky.rig.id).touch()
        for _ in range(2000):
            if len(list(Path().glob("ioc-*"))) == 2:
                break
            time.sleep(0.01)
        if shaky.rig.id == "ioc-2":
            raise DeviceFault("which says nothing of the rig")
    """)
    _, output = bench.run("-n", "rigs")
    found = healths(bench)
    assert {rig: health["state"] for rig, health in found.items()} == {"ioc-1": "suspect", "ioc-2": "well"}, (
        output
    )
    message = "the probe was pulled" if where == "teardown" else "load.on cannot be switched off"
    assert found["ioc-1"]["fault"]["message"] == message


def test_what_says_nothing_of_the_rig_blocks_and_leaves_its_health_alone(bench) -> None:
    bench.write_tests("""
    from harness.domain.errors import BeyondBench, CaptureUnavailable, LinkLost
    @planned
    @pytest.mark.parametrize("family", [LinkLost, CaptureUnavailable, BeyondBench])
    def test_is_blocked(rig, family):
        raise family("nobody is there")
    @planned
    def test_asks(operator):
        operator.do("turn the key")
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 1, output
    assert set(bench.outcomes().values()) == {"blocked"}
    assert {health["state"] for health in healths(bench).values()} == {"well"}

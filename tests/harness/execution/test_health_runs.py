"""What a run meets on a rig is written into that rig's health, and ``harness rigs`` says so."""

from __future__ import annotations

import json
import re

import pytest


def healths(bench) -> dict[str, dict]:
    listed = bench.harness("rigs", "--lab=lab.yaml", "--json")
    assert listed.returncode == 0, listed.stderr
    return {rig["rig"]: rig["health"] for rig in json.loads(listed.stdout)}


def states(bench) -> dict[str, str]:
    return {rig: health["state"] for rig, health in healths(bench).items()}


def test_a_lab_fault_in_a_test_leaves_its_rig_unknown_and_one_at_opening_makes_it_bad(bench) -> None:
    bench.environment["BROKEN_RIGS"] = "ioc-2"
    bench.write_tests("""
    from harness.domain.errors import BenchFault
    @planned
    def test_switches(rig):
        raise BenchFault("load.on was written on and reads off", remedy="look at the relay")
    """)
    code, output = bench.run("-n", "rigs", "-k", "active")
    assert code == 1, output
    found = healths(bench)
    assert {rig: health["state"] for rig, health in found.items()} == {"ioc-1": "unknown", "ioc-2": "bad"}
    told = {rig: (health["family"], health["reason"], health["remedy"]) for rig, health in found.items()}
    assert told == {
        "ioc-1": ("BenchFault", "load.on was written on and reads off", "look at the relay"),
        "ioc-2": ("LabFault", "rig ioc-2: its probe is not there", "plug it in"),
    }
    assert {health["by"] for health in found.values()} == {"run run"}
    listed = bench.harness("rigs", "--lab=lab.yaml")
    assert re.search(r"ioc-2 is bad since \S+Z, run run: LabFault: rig ioc-2: its probe is", listed.stderr)


def test_two_lab_faults_in_a_row_make_a_rig_suspect_and_an_attempt_without_one_makes_it_good(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(3))
    def test_shakes(rig, number):
        if not Path("well").exists():
            raise LabFault("the probe was pulled")
    """)
    bench.run("--one-process", "-k", "active and (0 or 1)", program=("harness",))
    assert states(bench)["ioc-1"] == "suspect"
    (bench.folder / "well").touch()
    code, output = bench.run("--one-process", "-k", "active and 2", program=("harness",))
    assert code == 0, output
    assert states(bench)["ioc-1"] == "good"


def test_a_suspect_rig_that_fails_its_self_check_is_bad_and_gets_no_more_tests(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(12))
    def test_shakes(rig, number):
        tried = Path(rig.rig.id)
        tried.open("a").write("x")
        if tried.read_text() == "xx":
            os.environ["BROKEN_RIGS"] = rig.rig.id
        raise LabFault("the probe was pulled")
    """)
    bench.run("-n", "rigs", "-k", "active")
    outcomes = [str(bench.record().outcome(test.id)) for test in bench.record().plan.tests]
    assert sorted(set(outcomes)) == ["blocked", "not_run"]
    reasons = {bench.record().reason(t.id) for t in bench.record().tests("not_run")}
    assert all("no rig of DMC" in reason and "Clause 20.19" in reason for reason in reasons)
    assert [(bench.folder / rig).read_text() for rig in ("ioc-1", "ioc-2")] == ["xx", "xx"]
    assert set(states(bench).values()) == {"bad"}


def test_a_device_with_other_firmware_than_was_planned_stops_its_rig(bench) -> None:
    bench.write_tests("""
    @planned
    @pytest.mark.parametrize("number", range(6))
    def test_upgrades(rig, number):
        Path(rig.rig.id).open("a").write(str(number))
        if rig.rig.id == "ioc-1":
            device = next(iter(rig.rig.devices.values()))
            Path(f"runs/run/firmware-{device.device_id}").write_text("9.99")
        else:
            for _ in range(500):
                if Path("ioc-1").exists():
                    break
                time.sleep(0.02)
    """)
    code, output = bench.run("-n", "rigs")
    assert code == 0, output  # the test itself passed; what came after it went to the other rig
    assert len((bench.folder / "ioc-1").read_text()) == 1
    found = healths(bench)["ioc-1"]
    assert found["state"] == "bad"
    assert "firmware is '9.99'" in found["reason"]
    assert "Clause 8.4(c)" in found["reason"]


@pytest.mark.parametrize("where", ["teardown", "put down"])
def test_a_fault_after_the_test_itself_is_of_its_rig_and_no_other(bench, where: str) -> None:
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
    assert states(bench) == {"ioc-1": "unknown", "ioc-2": "good"}, output
    message = "the probe was pulled" if where == "teardown" else "load.on cannot be switched off"
    assert healths(bench)["ioc-1"]["reason"] == message


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
    assert set(states(bench).values()) == {"good"}

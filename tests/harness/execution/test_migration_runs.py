"""A whole run whose test asks for migration where nobody in the lab can do it."""

from __future__ import annotations

import json


def test_a_test_is_blocked_where_nobody_migrates_and_the_rig_is_not_blamed(bench) -> None:
    bench.write_tests("""
    @planned
    def test_asks_for_migration(migration):
        raise AssertionError("there is nobody")
    """)
    _, output = bench.run("-p", "no:xdist")
    assert set(bench.outcomes().values()) == {"blocked"}, output
    assert "nobody in this lab can migrate its installation" in output
    listed = json.loads(bench.harness("rigs", "--lab=lab.yaml", "--json").stdout)
    assert {rig["health"]["state"] for rig in listed} <= {"good", "unknown"}

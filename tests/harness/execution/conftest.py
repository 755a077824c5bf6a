from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.config import load_lab
from harness.records.run import RunRecord, read_run
from harness.rigs.pool import Pool

HERE = Path(__file__).parent
REPO = HERE.parents[2]

MANIFEST = """
title: A pack of this test
version: "1"
kind: service_reference_variant
capability_release: {release}
test_phase: DMCT SRVT
installation_types: [dormant, active, mixed]
select: [test_subject.py]
"""
PREFACE = """
import os, signal, time
from pathlib import Path
import pytest
from harness.domain.errors import DeviceFault, LabFault

planned = pytest.mark.ttm("TTM-4.1.1-E-01")
"""


def surroundings() -> dict[str, str]:
    """Our environment without what pytest and xdist put there: what is run here runs as from a shell."""
    ours = ("PYTEST_XDIST_", "PYTEST_CURRENT_TEST", "COLUMNS", "LINES")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def name(test_id: str) -> str:
    """The test function of a planned test."""
    return test_id.partition("::")[2].partition("[")[0]


@dataclass
class Bench:
    """A lab of fake rigs in a folder, and what is needed to run pytest on it."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write_tests(self, source: str) -> None:
        text = PREFACE + textwrap.dedent(source)
        (self.folder / "packs" / "test_subject.py").write_text(text)

    def edit_lab(self, pattern: str, replacement: str) -> None:
        lab = self.folder / "lab.yaml"
        text, count = re.subn(pattern, replacement, lab.read_text(), flags=re.DOTALL)
        assert count, f"{pattern} is not in the lab file"
        lab.write_text(text)

    def surroundings(self) -> dict[str, str]:
        ours = {
            "PYTHONPATH": str(HERE),
            "HARNESS_STATE": str(self.folder / "state"),
            "HARNESS_LEASE_EXPIRY": "2",
        }
        return {**surroundings(), **ours, **self.environment}

    def pool(self, owner: str) -> Pool:
        """The lab's rigs, as somebody else sees them."""
        lab = load_lab(self.folder / "lab.yaml", state=self.folder / "state" / "simulated")
        return Pool(lab, owner, expiry=2)

    def start(
        self,
        *arguments: str,
        pack: str = "pack-ioc",
        program: tuple[str, ...] = ("pytest",),
        fixed: tuple[str, ...] = (),
        new_group: bool = False,
    ) -> subprocess.Popen:
        pytest_arguments = (
            "--lab=lab.yaml",
            f"--pack={pack}",
            "--run-id=run",
            "-p",
            "no:cacheprovider",
            *("-p", "no:allure_pytest", "-p", "no:anyio", "-p", "no:hypothesispytest"),
            "-q",
        )
        harness_arguments = ("run", pack, "--lab=lab.yaml")
        fixed = fixed or (pytest_arguments if program == ("pytest",) else harness_arguments)
        process = subprocess.Popen(
            [sys.executable, "-m", *program, *fixed, *arguments],
            cwd=self.folder,
            env=self.surroundings(),
            stdin=subprocess.DEVNULL,  # nobody sits there to be asked, whatever these tests are run from
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            process_group=0 if new_group else None,
        )
        self.started.append(process)
        return process

    def leave_nothing_running(self) -> None:
        """After a test that failed: a killed controller takes its workers with it."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate(timeout=60)

    def harness(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command of the harness, in the same folder."""
        return subprocess.run(
            [sys.executable, "-m", "harness", *arguments],
            cwd=self.folder,
            env=self.surroundings(),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def run(self, *arguments: str, **options) -> tuple[int, str]:
        process = self.start(*arguments, **options)
        output, _ = process.communicate(timeout=60)
        return process.returncode, output

    def record(self) -> RunRecord:
        return read_run(self.folder / "runs" / "run")

    def outcomes(self) -> dict[str, str]:
        record = self.record()
        return {name(test.id): str(record.outcome(test.id)) for test in record.plan.tests}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Two rigs of one IOC DMC and FOC DMCs without a rig, all with EPCL entries."""
    config = REPO / "lab_config"
    lab = (config / "simulated.yaml").read_text()
    for name in ("environments", "device_models", "dmcs", "epcl", "catalogue", "migration", "ttm"):
        lab = re.sub(rf"^{name}: ", f"{name}: {config}/", lab, flags=re.MULTILINE)
    lab = re.sub(r"^packs: .*$", "packs: packs\nplugins: [fake_rigs]", lab, flags=re.MULTILINE)
    lab = re.sub(r"^  schemas:.*\n", "", lab, flags=re.MULTILINE)
    lab = re.sub(r"^  ioc-3:.*\Z", "", lab, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "lab.yaml").write_text(lab)
    (tmp_path / "epcl.yaml").write_text("")
    packs = tmp_path / "packs" / "manifests"
    packs.mkdir(parents=True)
    for release in ("IOC", "FOC"):
        (packs / f"pack-{release.lower()}.yaml").write_text(MANIFEST.format(release=release))
    bench = Bench(tmp_path)
    yield bench
    bench.leave_nothing_running()

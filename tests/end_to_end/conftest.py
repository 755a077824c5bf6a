from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).parents[2]
ENTRIES = ("ioc-alderwick-dormant", "moc-birchfell-mixed", "foc-cedarholt-electric-active")
SHARED = REPO.parent / "shared"


@dataclass
class Finished:
    """A run of the real thing: its exit code, what it printed, and its folder."""

    code: int
    output: str
    folder: Path

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "run.json").read_text())


def harness(*arguments: str, state: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments],
        cwd=REPO,
        env={**os.environ, "HARNESS_STATE": str(state)},
        capture_output=True,
        text=True,
        timeout=500,
    )


def run_packs(folder: Path, *arguments: str) -> Finished:
    folder.mkdir(exist_ok=True)
    done = harness("run", *arguments, f"--runs={folder}", state=folder / "state")
    runs = [path for path in folder.iterdir() if (path / "plan.json").exists() and not path.is_symlink()]
    assert len(runs) == 1, done.stderr
    return Finished(done.returncode, done.stdout + done.stderr, runs[0])


@pytest.fixture(scope="session")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The main job of the product, once: three standard packs over the simulated lab.

    Of the entries of a release it takes one; `make seeds` takes all.
    """
    folder = tmp_path_factory.mktemp("main-job")
    packs = (f"standard-srvt-{release}" for release in ("ioc", "moc", "foc"))
    return run_packs(folder, *packs, *(f"--entry={entry}" for entry in ENTRIES))


@pytest.fixture(scope="session")
def schemas() -> Path:
    folder = SHARED / "spec" / "schemas"
    if not folder.is_dir():
        pytest.skip(f"the DUIS schemas are not beside the repository ({folder.name} under shared/spec)")
    return folder


@pytest.fixture
def copied_lab(tmp_path: Path) -> Path:
    """The shipped lab file in a folder of the test's own; its data files are where they were."""
    shipped = REPO / "lab_config" / "simulated.yaml"
    text = re.sub(r"^(\w+): (?=\w+\.(yaml|csv)$)", rf"\1: {shipped.parent}/", shipped.read_text(), flags=re.M)
    text = text.replace("packs: ..", f"packs: {REPO}").replace("../../shared", str(SHARED))
    copy = tmp_path / shipped.name
    copy.write_text(text)
    return copy

"""``harness packs new``: a pack that runs at once, to be filled with tests of one's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from harness.cli.choosing import chosen
from harness.cli.output import ExitCode, tell
from harness.config import load_lab
from harness.config.ttm import Requirement, load_ttm
from harness.domain.errors import UsageError
from harness.domain.lab import Lab
from harness.domain.words import CapabilityRelease, DeviceType, TestPhase

TEMPLATES: Final = Path(__file__).parent / "templates" / "pack"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LONGEST_NAME: Final = 40
_SRV: Final = "4.1.1"  # what the first test of a new pack reads


def new(name: str, release: str, phase: str, file: Path) -> ExitCode:
    """Write manifest and module into the lab's packs folder, never over anything."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise UsageError(
            f"{name!r} is not a valid name for a pack",
            remedy=f"up to {_LONGEST_NAME} small letters, digits and hyphens, as in our-tariffs-ioc",
        )
    lab = load_lab(file)
    of_release = chosen({each.value: each for each in CapabilityRelease}, release, "Capability Release")
    of_phase = chosen({each.value: each for each in TestPhase}, phase, "Test Phase")
    folder = name.replace("-", "_")
    manifest = lab.packs / "manifests" / f"{name}.yaml"
    module = lab.packs / folder / f"test_{folder}.py"
    for path in (manifest, module.parent):
        if path.exists() or path.is_symlink():
            raise UsageError(f"{path} is there already", remedy="choose another name")
    words = {
        "name": name,
        "folder": folder,
        "release": of_release.value,
        "phase": of_phase.value,
        "package": lab.packs.resolve().name,
        "matrix": lab.ttm.name,
        "srv": _SRV,
    }
    requirement = _requirement(lab, of_release)
    words |= {"ttm": requirement.id, "group": requirement.functional_group}
    _write({manifest: "manifest.yaml.jinja", module: "module.py.jinja"}, words)
    tell(f"made {manifest} and {module}")
    tell(f"try it:   harness run {name}")
    tell(f"fill it:  write a requirement into {lab.ttm}, mark your test with its id, then: harness ttm link")
    tell(f"check it: harness ttm check, harness packs diff {name} A-PACK-LIKE-IT")
    return ExitCode.GOOD


def _requirement(lab: Lab, release: CapabilityRelease) -> Requirement:
    """A requirement of the lab's matrix that the first test shows."""
    for row in load_ttm(lab.ttm).rows:
        if row.srv == _SRV and DeviceType.ESME in row.device_types and release in row.releases:
            return row
    raise UsageError(
        f"{lab.ttm} has no requirement of SRV {_SRV} for an ESME and {release}",
        remedy="write one, for the first test of the pack",
    )


def _write(files: dict[Path, str], words: dict[str, str]) -> None:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and Python, not HTML; the name is checked
        keep_trailing_newline=True,
    )
    made: list[Path] = []
    try:
        for path, template in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(environment.get_template(template).render(words))
    except OSError as error:
        for path in made:
            path.unlink()
        raise UsageError(f"the pack cannot be made: {error}", remedy="see the packs folder") from error

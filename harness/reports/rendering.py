"""Making all exports of a run folder, for who holds it alone."""

from __future__ import annotations

from pathlib import Path

from harness.domain.lab import Lab
from harness.hooks import Renderer, plugin_manager
from harness.records.seal import sealing_key
from harness.records.sealing import write_manifest


def renderers(lab: Lab) -> tuple[Renderer, ...]:
    """Every renderer that is installed or that the lab names: third parties' first."""
    found = plugin_manager(lab.plugins).hook.harness_renderers()
    return tuple(renderer for plugin in found for renderer in plugin)


def render_all(folder: Path, lab: Lab) -> list[Path]:
    """Write every export of a run folder, and seal it; returns what was written, the manifest last.

    Safe to do again, also after the run was resumed: everything comes from the plan, the journals and the
    evidence, and from the lab's matrix and catalogue.
    """
    written = [path for renderer in renderers(lab) for path in renderer.render(folder, lab)]
    return [*written, write_manifest(folder, sealing_key(lab))]

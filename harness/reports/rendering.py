"""Making all exports of a run folder."""

from __future__ import annotations

from pathlib import Path

from harness.domain.lab import Lab
from harness.hooks import Renderer, plugin_manager


def renderers(lab: Lab) -> tuple[Renderer, ...]:
    """Every renderer that is installed or that the lab names: third parties' first, the manifest last."""
    found = plugin_manager(lab.plugins).hook.harness_renderers()
    return tuple(renderer for plugin in found for renderer in plugin)


def render_all(folder: Path, lab: Lab) -> list[Path]:
    """Write every export of a run folder, and last the manifest that seals it; returns what was written.

    Safe to do again, also after the run was resumed: everything comes from the plan, the journals and the
    evidence, and from the lab's matrix and catalogue.
    """
    return [path for renderer in renderers(lab) for path in renderer.render(folder, lab)]

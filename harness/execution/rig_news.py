"""What a worker tells of its rig while it has no test; it travels to the controller as a warning does."""

from __future__ import annotations

import warnings

import pytest


class RigNews(Warning):
    """A rig's worker waits for it. ``sentence`` names whom or what it waits for."""

    def __init__(self, rig: str, sentence: str) -> None:
        super().__init__(rig, sentence)
        self.rig = rig
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.rig} waits: {self.sentence}"


def tell(config: pytest.Config, news: RigNews) -> None:
    """Let the controller know."""
    message = warnings.WarningMessage(news, RigNews, filename="", lineno=0)
    told = {"warning_message": message, "when": "runtest", "nodeid": "", "location": None}
    config.hook.pytest_warning_recorded.call_historic(kwargs=told)

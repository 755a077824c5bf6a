"""Whoever misses a secret is told which line of the lab file refers to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harness.config import load_lab
from harness.config.references import reference_places


def test_every_reference_has_its_line_in_the_order_of_the_file(real_lab: Path) -> None:
    text = real_lab.read_text().replace('"env:CERTIFICATE"}', "file:keys/user.pem}")
    trust = "dcc:\n  trust: {dcc: file:keys/dcc.pem, s1sp: file:keys/dcc.pem}\n"
    real_lab.write_text(text.replace("dcc:\n", trust, 1))
    folder = real_lab.parent
    assert list(reference_places(load_lab(real_lab)).items()) == [
        (f"file:{folder}/keys/dcc.pem", "lab.yaml:5"),
        ("env:KEY", "lab.yaml:9"),
        (f"file:{folder}/keys/user.pem", "lab.yaml:9"),
    ]


def test_those_of_a_rig_that_is_left_out_are_left_out(real_lab: Path) -> None:
    security = "        security: {mechanism: lls, password: env:PASSWORD}\n"
    real_lab.write_text(real_lab.read_text() + security)
    lab = load_lab(real_lab)
    assert reference_places(lab)["env:PASSWORD"] == "lab.yaml:24"
    assert set(reference_places(replace(lab, rigs=()))) == {"env:KEY", "env:CERTIFICATE"}


def test_a_lab_file_that_has_changed_since_is_named_alone(real_lab: Path) -> None:
    lab = load_lab(real_lab)
    real_lab.write_text("name: other\n")
    assert set(reference_places(lab).values()) == {"lab.yaml"}

"""DCC's published sample requests: accepted or refused as their content deserves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from device_drivers.dcc.duis import SERVICE_OF, RequestMessage, ResponseMessage
from device_drivers.dcc.identities import simulated_pki
from device_drivers.dcc.pki import client_context
from device_drivers.dcc.signature import Signer
from device_drivers.dcc.tree import DS, parse, serialise
from harness.domain.lab import Lab

# What becomes of each sample: as published (its signature is a placeholder), and signed by the user it names.
# Critical requests come with the Command Variant of SMETS2, a Pre-Command, which a SMETS1 lab does not take.
DUE = {
    "8.2_READ_INVENTORY": ("E100", "I0"),
    "CS01a_2.2": ("E100", "I99"),
    "CS08_11.2": ("E100", "E1"),  # its originator is the DCC, who is no user
    "ECS02_1.6": ("E12", "E12"),
    "ECS17b_4.1.1": ("E100", "I99"),
    "ECS22b_4.8.1": ("E100", "I99"),
    "ECS23_4.10": ("E100", "I99"),
    "ECS24_4.11.1": ("E100", "I99"),
    "ECS35a_6.13": ("E100", "I99"),
    "ECS39a_6.20.1": ("E100", "I99"),
    "ECS42_7.1": ("E12", "E12"),
    "ECS43_7.2": ("E12", "E12"),
    "ECS44_7.3": ("E12", "E12"),
    "ECS45_7.4": ("E100", "I99"),
    "ECS70_6.11": ("E12", "E12"),
    "GCS13a_4.1.1": ("E100", "E4"),  # an import supplier asks a gas meter
}


@pytest.fixture
def sample_lab(dcc_lab: Lab) -> Lab:
    """The shipped lab with the users and devices that the samples speak of."""
    eui = {"IS": "90-B3-D5-1F-30-01-00-00"}
    users = tuple(replace(user, eui=eui.get(user.role, user.eui)) for user in dcc_lab.dcc.users)
    rig = dcc_lab.rigs[0]
    ids = {
        "ESME": "00-DB-12-34-56-78-90-A0",
        "GSME": "00-DB-12-34-56-78-90-A3",
        "CH": "00-DB-12-34-56-78-90-A2",
    }
    devices = {type_: replace(device, device_id=ids[type_]) for type_, device in rig.devices.items()}
    return replace(
        dcc_lab,
        dcc=replace(dcc_lab.dcc, users=users),
        rigs=(replace(rig, devices=devices), *dcc_lab.rigs[1:]),
    )


def code(dcc: Any, xml: bytes) -> str:
    """What the gateway says to a message at the path of its Command Variant."""
    pki = simulated_pki(dcc.lab)
    service = SERVICE_OF[RequestMessage.read(parse(xml)).command_variant]
    url = f"https://127.0.0.1:{dcc.gateway_server.port}/api/v1/{service}"
    with httpx.Client(verify=client_context(pki.tls_authority, pki.tls("user"))) as user:
        answer = user.post(url, content=xml, headers={"Content-Type": "application/xml"})
    assert answer.status_code == 200, answer.text
    return ResponseMessage.read(parse(answer.content)).code


def signed_anew(dcc: Any, xml: bytes) -> bytes:
    root = parse(xml)
    root.remove(root.find(f"{{{DS}}}Signature"))
    pair = simulated_pki(dcc.lab).user("IS", dcc.lab.dcc.users[0].eui)
    return Signer(pair.key, pair.certificate).sign(serialise(root))


@pytest.mark.parametrize("name", DUE)
def test_a_sample_gets_what_it_deserves(
    open_dcc: Callable[..., Any], sample_lab: Lab, spec: Path, name: str
) -> None:
    (sample,) = (spec / "samples").glob(f"{name}_*REQUEST_DUIS.XML")
    dcc = open_dcc(sample_lab)
    assert (code(dcc, sample.read_bytes()), code(dcc, signed_anew(dcc, sample.read_bytes()))) == DUE[name]
    dcc.settle()


def test_every_sample_is_judged(spec: Path) -> None:
    assert len(list((spec / "samples").glob("*REQUEST_DUIS.XML"))) == len(DUE)

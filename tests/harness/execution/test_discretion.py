"""Secrets are planted wherever a lab file can refer to one, and a pack does its worst with them."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

LEAKS = """
import base64, json, logging, os, sys

SECRETS = [bytes.fromhex(each) for each in json.loads(os.environ["PLANTED"])]
FORMS = [
    form for raw in SECRETS
    for form in (raw, raw.decode(), repr(raw), raw.hex(), raw.hex(" "), base64.b64encode(raw).decode())
]

@pytest.fixture
def careless(rig):
    yield FORMS
    raise OSError(f"teardown with {FORMS}")

@planned
def test_keeps_them_as_evidence(rig, evidence, careless):
    for form in FORMS:
        evidence.note(f"it is {form}", {"secret": form, "and": [form]})
        evidence.attach(f"{form}.txt", form if isinstance(form, str) else b"frame " + form)
        evidence.attach("large", 70_000 * b"-" + str(form).encode(), "application/octet-stream")

@planned
def test_compares_them(rig, evidence):
    evidence.expect("all of them", found=FORMS, expected=[])

@planned
def test_shows_them_in_its_traceback(rig):
    def sign_on(keys):
        assert keys == ["x" + each.decode() for each in SECRETS]
    sign_on([each.decode() for each in SECRETS])

@planned
def test_prints_and_logs_them(rig):
    print(FORMS)
    print(*(each.decode() for each in SECRETS), sep="\\n", file=sys.stderr)
    logging.getLogger("driver").warning("signing on with %s", FORMS)
    raise DeviceFault("it is refused")

@planned
@pytest.mark.parametrize("at", range(len(SECRETS)))
def test_meets_a_fault_that_names_them(rig, at):
    raise (LabFault if at % 2 else DeviceFault)(f"refused {SECRETS[at].decode()}", remedy=SECRETS[at].hex())

@planned
def test_skips_for_them(rig):
    pytest.skip(" ".join(each.hex() for each in SECRETS))
"""


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, form: PrivateFormat) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


@pytest.fixture
def planted(bench) -> dict[str, bytes]:
    """A secret behind every reference of the bench's lab file, by its place there."""
    random = Random(7)
    secrets = {
        "dlms encryption key": random.randbytes(16).hex().encode(),
        "dlms authentication key": random.randbytes(16).hex().encode(),
        "dlms password": b'h"u\\nt er2',
        "token of a transport": base64.urlsafe_b64encode(random.randbytes(12)),
        "password of a bench": "s\u00e9same-ouvre".encode(),
        "ssh key": pem(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH),
        "signing key": pem(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.PKCS8),
        "tls key": pem(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL),
        "sealing key": pem(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8),
    }
    folder = bench.folder / "secrets"
    folder.mkdir()
    references = {}
    for number, (name, secret) in enumerate(secrets.items()):
        if number % 2:
            bench.environment[f"PLANTED_{number}"] = secret.decode()
            references[name] = f"env:PLANTED_{number}"
        else:
            (folder / str(number)).write_bytes(secret + b"\n")
            (folder / str(number)).chmod(0o600)
            references[name] = f"file:secrets/{number}"
    bench.environment["PLANTED"] = json.dumps([secret.hex() for secret in secrets.values()])
    refer(bench, references)
    return secrets


def refer(bench, to: dict[str, str]) -> None:
    """Let the lab file refer to them: it is left with one rig, of real devices."""
    bench.edit_lab(r"  ioc-2:.*\Z", "")
    bench.edit_lab(r"gateway: simulated", "gateway: https://gateway.invalid")
    bench.edit_lab(r"\Z", f'evidence: {{key: "{to["sealing key"]}"}}\n')
    identity = f', key: "{to["signing key"]}", certificate: file:secrets/signing.pem'
    bench.edit_lab(r"(eui: [0-9A-F-]+)\}", lambda found: found[1] + identity + "}")
    tls = "ca: file:secrets/ca.pem, certificate: file:secrets/tls.pem"
    bench.edit_lab(r"\n  users:", f'\n  tls: {{{tls}, key: "{to["tls key"]}"}}\n  users:')
    controller = f'{{host: c, user: rig, key: "{to["ssh key"]}", known_hosts: file:secrets/hosts}}'
    power = f'{{kind: theirs, parameters: {{login: {{password: "{to["password of a bench"]}"}}}}}}'
    real = f"controller: {controller}\n    bench: {power}\n"
    bench.edit_lab(r"(ioc-1:.*?)simulation: \{[^}]*\}\n", lambda found: found[1] + real)
    keys = ("dlms encryption key", "dlms authentication key")
    references = ", ".join(f'{name.removeprefix("dlms ").replace(" ", "_")}: "{to[name]}"' for name in keys)
    hls = f'security: {{mechanism: hls-gmac, system_title: "4C41423100000001", {references}}}'
    lls = f'security: {{mechanism: lls, password: "{to["dlms password"]}"}}'
    door = f'door: {{transport: theirs, parameters: {{api_token: "{to["token of a transport"]}"}}}}'
    for serial_number, security in (("E01101", hls), ("G01102", hls), ("H01103", lls)):
        bench.edit_lab(
            rf"({serial_number})\}}", lambda found, all_=f", {door}, {security}}}": found[1] + all_
        )


def forms(secret: bytes) -> Iterator[bytes]:
    """The whole of it in every form, and so much of its beginning and end as a shortened value shows."""
    for form in whole_forms(secret):
        yield from (form, form[:12], form[-12:])


def whole_forms(secret: bytes) -> Iterator[bytes]:
    """As it is, as Python and JSON show it, in hexadecimal and in base64; of a PEM file, its lines."""
    if secret.startswith(b"-----"):
        yield from (line for line in secret.splitlines()[1:-1] if len(line) > 16)
        return
    yield from (secret, repr(secret)[2:-1].encode(), json.dumps(secret.decode())[1:-1].encode())
    for raw in [
        secret,
        *([bytes.fromhex(secret.decode())] if re.fullmatch(rb"[0-9a-f]{32}", secret) else []),
    ]:
        yield from (raw, raw.hex().encode(), raw.hex().upper().encode(), raw.hex(" ").encode())
        yield base64.b64encode(raw)


def leaks(secrets: dict[str, bytes], contents: dict[str, bytes]) -> list[str]:
    return [
        f"{name} in {where}: …{content[max(0, content.index(form) - 60) :][:100]!r}"
        for where, content in contents.items()
        for name, secret in secrets.items()
        for form in forms(secret)
        if form in content
    ]


@pytest.mark.parametrize("workers", [("-n", "rigs"), ()], ids=["over the rigs", "in one process"])
def test_no_secret_is_in_the_run_folder_the_allure_results_the_output_or_the_archive(
    bench, planted: dict[str, bytes], workers: tuple[str, ...]
) -> None:
    bench.write_tests(LEAKS)
    code, output = bench.run(*workers, "-rA", "--junitxml=theirs.xml")
    assert code == 1, output
    assert set(bench.outcomes().values()) == {"failed", "blocked"}, output
    assert "****" in output  # it was all shown, but for them
    assert all(
        each in output for each in ("signing on with", "it is refused", "teardown with", "Captured stdout")
    )
    packed = bench.harness("evidence", "pack", "runs/run", "--lab=lab.yaml", "--out=run.tar.gz")
    assert packed.returncode == 0, packed.stderr
    folder = bench.folder / "runs" / "run"
    contents = {
        str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    assert any(name.startswith("allure-results/") for name in contents)
    names = "\n".join(contents).encode()
    archive = gzip.decompress((bench.folder / "run.tar.gz").read_bytes())
    said = {"the output": output.encode(), "the names": names, "the archive": archive}
    said["pytest's own report"] = (bench.folder / "theirs.xml").read_bytes()
    assert leaks(planted, contents | said) == []


@pytest.mark.parametrize(
    "arguments", [("-n", "rigs"), (), ("--collect-only",)], ids=["over the rigs", "alone", "collected only"]
)
def test_a_module_that_cannot_be_imported_tells_no_secret(
    bench, planted: dict[str, bytes], arguments: tuple[str, ...]
) -> None:
    bench.write_tests("""
        password = Path("secrets/2").read_text().strip()
        print("signing on with", password)
        raise RuntimeError(f"refused: {password}")
    """)
    code, output = bench.run(*arguments)
    assert code != 0
    assert "RuntimeError: refused: ****" in output
    assert "signing on with ****" in output
    assert leaks(planted, {"the output": output.encode()}) == []


def test_a_secret_in_the_id_of_a_test_is_refused_before_anything_is_written(
    bench, planted: dict[str, bytes]
) -> None:
    bench.write_tests("""
        @planned
        @pytest.mark.parametrize("token", [os.environ["PLANTED_3"]])
        def test_signs_on(rig, token): pass
    """)
    code, output = bench.run()
    assert code == 4, output
    assert "env:PLANTED_3 occurs in the plan" in output
    assert leaks(planted, {"the output": output.encode()}) == []
    assert not (bench.folder / "runs" / "run" / "plan.json").exists()


def test_a_run_that_somebody_else_has_written_a_secret_into_is_not_packed(
    bench, planted: dict[str, bytes]
) -> None:
    bench.write_tests("""
        @planned
        def test_writes_past_the_evidence(rig):
            Path("runs/run/theirs.txt").write_text(Path("secrets/0").read_text())
    """)
    code, output = bench.run()
    assert code == 0, output
    bench.environment.pop("PLANTED_1")
    packed = bench.harness("evidence", "pack", "runs/run", "--lab=lab.yaml", "--out=run.tar.gz")
    assert packed.returncode == 1, packed.stderr
    assert "not looked for, since it cannot be read here: env:PLANTED_1" in packed.stderr
    assert "theirs.txt has one of the lab's secrets in it; the run is not packed" in packed.stderr
    assert not Path(bench.folder / "run.tar.gz").exists()


def test_a_run_of_a_lab_whose_sealing_key_is_not_there_does_not_begin(bench) -> None:
    bench.edit_lab(r"\Z", "evidence: {key: file:secrets/none.pem}\n")
    bench.write_tests("@planned\ndef test_nothing(rig): pass")
    code, output = bench.run()
    assert code == 4
    assert "none.pem cannot be read: No such file or directory" in output
    assert not (bench.folder / "runs").exists()

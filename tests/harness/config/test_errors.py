# ruff: noqa: E501 - messages stand here as their reader sees them, each on one line
"""What is wrong with a lab's files is told with file, line, what was found, what was expected, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.config import FileProblems, load_lab
from harness.domain.errors import ConfigurationError


@dataclass(frozen=True)
class Break:
    """Replace text in a file; the message that must come."""

    file: str
    old: str
    new: str
    message: str


BROKEN = {
    "an unknown key names the nearest": Break(
        "lab.yaml", "  receive:", "  recieve: 127.0.0.1:0\n  receive:",
        "lab.yaml:6: dcc.recieve: unknown key 'recieve' (did you mean 'receive'?)",
    ),
    "an unknown key like no other names them all": Break(
        "environments.yaml", "  matches_production: true", "  colour: red\n  matches_production: true",
        "environments.yaml:16: sit-b.colour: unknown key 'colour' "
        "(choose from 'dcc_systems', 'matches_production', 'tag_agreement')",
    ),
    "a key that lacks is told with its meaning": Break(
        "lab.yaml", "environment: simulated\n", "",
        "lab.yaml:1: no key 'environment' (add it: the id of the environment that is tested against)",
    ),
    "a key that lacks further down": Break(
        "lab.yaml", "{starts: 2025-03-03T08:00:00Z}", "{}",
        "lab.yaml:13: rigs.one.simulation: no key 'starts' (add it: lab time at which the rig begins, with its zone)",
    ),
    "a word that is none of an enumeration's": Break(
        "dmcs.yaml", "release: MOC", "release: MCO",
        "dmcs.yaml:9: moc-birchfell.release: found 'MCO', expected one of 'IOC', 'MOC', 'FOC' (did you mean 'MOC'?)",
    ),
    "a key that is none of an enumeration's": Break(
        "lab.yaml", "    IS: {eui", "    XY: {eui",
        "lab.yaml:8: dcc.users.XY: found 'XY', expected one of 'IS', 'ES', 'GS', 'ED', 'GT', 'RSA', 'OU' (correct it)",
    ),
    "a database with its password": Break(
        "lab.yaml", "environment: simulated\n", "environment: simulated\ndatabase: postgresql://lab:guess@db/rigs\n",
        "lab.yaml:3: database: found a value, expected the reference of a secret "
        "(keep the secret elsewhere and write env:NAME or file:path)",
    ),
    "a database with its password at the end": Break(
        "lab.yaml", "environment: simulated\n", "environment: simulated\ndatabase: postgresql://db/rigs?user=a&password=b\n",
        "lab.yaml:3: database: found a value, expected the reference of a secret "
        "(keep the secret elsewhere and write env:NAME or file:path)",
    ),
    "a database of a kind that is not known": Break(
        "lab.yaml", "environment: simulated\n", "environment: simulated\ndatabase: mysql://db/rigs\n",
        "lab.yaml:3: database: found 'mysql://db/rigs', expected where leases and healths are kept, for a lab that "
        "several hosts share: postgresql://user@host/name without a password, or the reference (env:NAME, file:path) "
        "of a URL; without it, in the state folder (correct it)",
    ),
    "a word that is none of a few": Break(
        "lab.yaml", "{starts: 2025-03-03T08:00:00Z}", "{starts: 2025-03-03T08:00:00Z, wan: dwon}",
        "lab.yaml:13: rigs.one.simulation.wan: found 'dwon', expected 'up', 'slow' or 'down' "
        "(correct it: the hub's WAN; slow: woken by SMS)",
    ),
    "not a number": Break(
        "lab.yaml", "  receive:", "  response_limit_seconds: soon\n  receive:",
        "lab.yaml:6: dcc.response_limit_seconds: found 'soon', expected a number "
        "(correct it: lab time in which a response is due, in seconds)",
    ),
    "no end of seconds": Break(
        "lab.yaml", "  receive:", "  alert_limit_seconds: .inf\n  receive:",
        "lab.yaml:6: dcc.alert_limit_seconds: found '.inf', expected a number "
        "(correct it: lab time in which an alert is due, in seconds)",
    ),
    "a port that there is not": Break(
        "lab.yaml", "receive: 127.0.0.1:0", "receive: 127.0.0.1:70000",
        "lab.yaml:6: dcc.receive: found '127.0.0.1:70000', expected host:port, with a port of at most 65535 "
        "(correct it: host:port on which responses and alerts are received; port 0: any)",
    ),
    "a number out of range": Break(
        "lab.yaml", "  receive:", "  critical_command_variant: 9\n  receive:",
        "lab.yaml:6: dcc.critical_command_variant: found '9', expected 8 or less "
        "(correct it: the Command Variant of a critical request to a SMETS1 device (inferred))",
    ),
    "neither true nor false": Break(
        "environments.yaml", "matches_production: true", "matches_production: maybe",
        "environments.yaml:16: sit-b.matches_production: found 'maybe', expected true or false "
        "(correct it: whether the versions are those that most closely match production (Clause 20.18))",
    ),
    "a moment without its zone": Break(
        "lab.yaml", "{starts: 2025-03-04T08:00:00Z}", "{starts: 2025-03-04T08:00:00}",
        "lab.yaml:21: rigs.two.simulation.starts: found '2025-03-04T08:00:00', expected a date and time with its "
        "zone, as 2025-03-01T00:00:00Z (correct it: lab time at which the rig begins, with its zone)",
    ),
    "a firmware version longer than DUIS allows": Break(
        "device_models.yaml", "firmware: 1.4.20", "firmware: 1.4.20-rc1",
        "device_models.yaml:9: alderwick-e1.firmware: found '1.4.20-rc1', expected at most 8 characters "
        "(correct it: the baseline firmware version of Clause 8.4(c))",
    ),
    "nothing where something belongs": Break(
        "dmcs.yaml", "release: MOC", "release:",
        "dmcs.yaml:9: moc-birchfell.release: found nothing, expected one of 'IOC', 'MOC', 'FOC' (correct it)",
    ),
    "a secret instead of a reference is not repeated": Break(
        "lab.yaml", "{eui: 00-DB-12-34-90-00-00-01}", "{eui: 00-DB-12-34-90-00-00-01, key: hunter2}",
        "lab.yaml:8: dcc.users.IS.key: found a value, expected the reference of a secret "
        "(keep the secret elsewhere and write env:NAME or file:path)",
    ),
    "a secret among a driver's parameters": Break(
        "lab.yaml", "    mprn:", "    bench: {parameters: {relays: [{host: 192.0.2.1, password: hunter2}]}}\n    mprn:",
        "lab.yaml:20: rigs.two.bench.parameters.relays.0.password: found a value, expected the reference of a secret "
        "(keep the secret elsewhere and write env:NAME or file:path)",
    ),
    "an EUI that is none": Break(
        "lab.yaml", "00-DB-12-34-56-01-00-01", "00-DB-12-34-56-01-01",
        "lab.yaml:15: rigs.one.devices.ESME.device_id: found '00-DB-12-34-56-01-01', expected an EUI-64 as "
        "XX-XX-XX-XX-XX-XX-XX-XX, in hexadecimal digits (correct it: the device's EUI-64, XX-XX-XX-XX-XX-XX-XX-XX)",
    ),
    "an MPAN whose check digit is wrong": Break(
        "lab.yaml", "9900000001019", "9900000001018",
        "lab.yaml:12: rigs.one.mpan: found '9900000001018', expected an MPAN whose check digit fits: 990000000101 is "
        "followed by 9 (correct it: the import MPAN; demanded where there is an ESME)",
    ),
    "an MPRN whose check digits are wrong": Break(
        "lab.yaml", "9900000205", "9900000250",
        "lab.yaml:20: rigs.two.mprn: found '9900000250', expected an MPRN whose check digits fit: 99000002 is "
        "followed by 05 (correct it: the MPRN; demanded where there is a GSME)",
    ),
    "an unknown DMC names the nearest": Break(
        "lab.yaml", "dmc: foc-cedarholt-electric", "dmc: foc-cedarholt-eletric",
        "lab.yaml:11: rigs.one.dmc: unknown DMC 'foc-cedarholt-eletric' (did you mean 'foc-cedarholt-electric'?)",
    ),
    "an EPCL entry whose DMC is absent": Break(
        "epcl.yaml", "mixed:\n  dmc: moc-birchfell", "mixed:\n  dmc: gone",
        "epcl.yaml:17: moc-birchfell-mixed.dmc: unknown DMC 'gone' (choose from 'ioc-alderwick', 'moc-birchfell', "
        "'foc-cedarholt', 'foc-cedarholt-electric')",
    ),
    "two EPCL entries that say the same": Break(
        "epcl.yaml", "installation_type: dormant\n\nmoc", "installation_type: active\n\nmoc",
        "epcl.yaml:11: ioc-alderwick-dormant: says the same as 'ioc-alderwick-active' (remove one, or correct what differs)",
    ),
    "an unknown Device Model": Break(
        "dmcs.yaml", "CH: birchfell-h2", "CH: birchfell-h3",
        "dmcs.yaml:11: moc-birchfell.models.CH: unknown Device Model 'birchfell-h3' (did you mean 'birchfell-h2'?)",
    ),
    "a Device Model of another type": Break(
        "dmcs.yaml", "GSME: birchfell-g2", "GSME: birchfell-e2",
        "dmcs.yaml:11: moc-birchfell.models.GSME: 'birchfell-e2' is of type ESME, expected GSME "
        "(name another, or correct its type)",
    ),
    "a DMC without a hub": Break(
        "dmcs.yaml", "{ESME: birchfell-e2, GSME: birchfell-g2, CH: birchfell-h2}", "{ESME: birchfell-e2}",
        "dmcs.yaml:11: moc-birchfell.models: found 'ESME', expected CH and a meter (add what lacks)",
    ),
    "an unknown environment": Break(
        "lab.yaml", "environment: simulated", "environment: simulator",
        "lab.yaml:2: environment: unknown environment 'simulator' (did you mean 'simulated'?)",
    ),
    "devices that do not fit the DMC": Break(
        "lab.yaml", "dmc: foc-cedarholt-electric", "dmc: foc-cedarholt",
        "lab.yaml:14: rigs.one.devices: found 'CH', 'ESME', expected 'CH', 'ESME', 'GSME' as DMC 'foc-cedarholt' has "
        "them (put the devices of the DMC on the rig, or name another DMC)",
    ),
    "a device that stands on two rigs": Break(
        "lab.yaml", "00-DB-12-34-56-02-00-01", "00-db-12-34-56-01-00-01",
        "lab.yaml:23: rigs.two.devices.ESME.device_id: '00-DB-12-34-56-01-00-01' stands on line 15 already "
        "(give each its own)",
    ),
    "a rig id that stands twice": Break(
        "lab.yaml", "  two:", "  one:",
        "lab.yaml:17: 'one' stands twice, first on line 10 (remove or rename one)",
    ),
    "an ESME without an MPAN": Break(
        "lab.yaml", '    mpan: "9900000001019"\n', "",
        "lab.yaml:10: rigs.one: has an ESME and no mpan (add mpan:)",
    ),
    "an MPRN without a GSME": Break(
        "lab.yaml", '    mpan: "9900000001019"\n', '    mpan: "9900000001019"\n    mprn: "9900000104"\n',
        "lab.yaml:13: rigs.one.mprn: there is no GSME on the rig (remove it, or add the meter)",
    ),
    "an address on a twin's door": Break(
        "lab.yaml", "serial_number: E1", "door: {transport: tcp, parameters: {port: 4059}}",
        "lab.yaml:15: rigs.one.devices.ESME.door.parameters: a twin says for itself where it listens "
        "(remove parameters:)",
    ),
    "a door behind a controller that is not there": Break(
        "lab.yaml", "serial_number: E1", "door: {transport: tcp, via_controller: true}",
        "lab.yaml:15: rigs.one.devices.ESME.door.via_controller: the rig has no controller "
        "(describe it under controller:)",
    ),
    "an optical port without HDLC": Break(
        "lab.yaml", "serial_number: E1", "door: {transport: serial, optical: {}}",
        "lab.yaml:15: rigs.one.devices.ESME.door.optical: DLMS on an optical port goes in HDLC frames "
        "(add hdlc: {})",
    ),
    "DLMS after a readout": Break(
        "lab.yaml", "serial_number: E1", "door: {transport: serial, optical: {mode: mode-c}}",
        "lab.yaml:15: rigs.one.devices.ESME.door.optical.mode: a readout is all that mode-c gives, and no DLMS "
        "(mode-e or direct, or the protocol of a meter that is read out: iec62056-21)",
    ),
    "credentials that are not whole": Break(
        "lab.yaml", "serial_number: E1", "security: {mechanism: lls}",
        "lab.yaml:15: rigs.one.devices.ESME.security: found the keys 'mechanism', expected password beside lls "
        "(correct it: DLMS credentials; none on a simulated rig)",
    ),
    "a matrix that is not there": Break(
        "lab.yaml", "packs: packs", "packs: packs\nttm: tmt.csv",
        "lab.yaml:4: ttm: no file 'tmt.csv' (correct it: a name is taken from the lab file's folder)",
    ),
    "a folder of packs that is not there": Break(
        "lab.yaml", "packs: packs", "packs: pakcs",
        "lab.yaml:3: packs: no folder 'pakcs' (correct it: a name is taken from the lab file's folder)",
    ),
    "schemas that are not there and are required": Break(
        "lab.yaml", "  receive:", "  schemas: {folder: xsd}\n  receive:",
        "lab.yaml:6: dcc.schemas.folder: no folder 'xsd' "
        "(correct it, or set required: false to run without validation)",
    ),
    "a data file that is not there": Break(
        "lab.yaml", "packs: packs", "packs: packs\nepcl: eplc.yaml",
        "lab.yaml:4: epcl: no file 'eplc.yaml' (correct it: a name is taken from the lab file's folder)",
    ),
    "a catalogue that is not there": Break(
        "lab.yaml", "packs: packs", "packs: packs\ncatalogue: srvs.csv",
        "lab.yaml:4: catalogue: no file 'srvs.csv' (correct it: a name is taken from the lab file's folder)",
    ),
    "rules of migration that are not there": Break(
        "lab.yaml", "packs: packs", "packs: packs\nmigration: rules.yaml",
        "lab.yaml:4: migration: no file 'rules.yaml' (correct it: a name is taken from the lab file's folder)",
    ),
    "a tab where spaces indent": Break(
        "lab.yaml", "    dmc: foc-cedarholt\n", "\tdmc: foc-cedarholt\n",
        "lab.yaml:18: a tab at the start of the line (indent with spaces)",
    ),
    "a tab among the spaces that indent": Break(
        "lab.yaml", "    dmc: foc-cedarholt\n", "  \t  dmc: foc-cedarholt\n",
        "lab.yaml:18: a tab at the start of the line (indent with spaces)",
    ),
    "no rigs": Break(
        "lab.yaml", "rigs:\n  one:", "rig:\n  one:",
        "2 problems were found:\n"
        "  lab.yaml:1: no key 'rigs' (add it: the rigs, by their id)\n"
        "  lab.yaml:9: rig: unknown key 'rig' (did you mean 'rigs'?)",
    ),
    "not YAML": Break(
        "dmcs.yaml", "models: {ESME: birchfell-e2,", "models: {ESME: birchfell-e2",
        "dmcs.yaml:11: not YAML: did not find expected ',' or '}' (correct the syntax)",
    ),
    "a tag that would make an object": Break(
        "dmcs.yaml", "smso: Curlew Data", "smso: !!python/name:os.system x",
        "dmcs.yaml:10: the tag 'tag:yaml.org,2002:python/name:os.system' makes an object (write plain values)",
    ),
    "a merge key": Break(
        "dmcs.yaml", "smso: Curlew Data", "<<: {smso: x}",
        "dmcs.yaml:10: a key is not a word (write keys out as plain words)",
    ),
    "a service reference that a spreadsheet shortened": Break(
        "srv_catalogue.csv", "6.20.1,Set Device Configuration (Import MPxN),6.20,", "6.20.1,Set Device Configuration (Import MPxN),6.2,",
        "srv_catalogue.csv:73: SRV 6.20.1: found service reference '6.2', expected '6.20' "
        "(spreadsheets drop the last zero of 6.20: format the column as text)",
    ),
    "an SRV that stands twice": Break(
        "srv_catalogue.csv", "\n1.2.1,", "\n1.1.1,",
        "srv_catalogue.csv:4: SRV '1.1.1' stands twice, first on line 2 (remove one)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_one_error_is_one_line(lab_folder: Path, case: Break) -> None:
    file = lab_folder / case.file
    text = file.read_text()
    assert text.count(case.old) == 1, "the test breaks another file than it means"
    file.write_text(text.replace(case.old, case.new))
    with pytest.raises(ConfigurationError) as caught:
        load_lab(lab_folder / "lab.yaml")
    assert str(caught.value) == case.message


def test_the_small_lab_is_right_before_it_is_broken(lab_folder: Path) -> None:
    assert len(load_lab(lab_folder / "lab.yaml").rigs) == 2


def test_all_problems_of_all_files_come_at_once(lab_folder: Path) -> None:
    for case in (
        BROKEN["not a number"],
        BROKEN["an unknown Device Model"],
        BROKEN["an EPCL entry whose DMC is absent"],
    ):
        file = lab_folder / case.file
        file.write_text(file.read_text().replace(case.old, case.new))
    with pytest.raises(FileProblems) as caught:
        load_lab(lab_folder / "lab.yaml")
    first, *lines = str(caught.value).splitlines()
    assert first == "3 problems were found:"
    assert lines == [
        f"  {BROKEN[name].message}"
        for name in ("an unknown Device Model", "an EPCL entry whose DMC is absent", "not a number")
    ]
    assert [(problem.file.name, problem.line) for problem in caught.value.problems] == [
        ("dmcs.yaml", 11),
        ("epcl.yaml", 17),
        ("lab.yaml", 6),
    ]


def test_a_wrong_item_is_told_once_and_not_by_those_who_name_it(lab_folder: Path) -> None:
    file = lab_folder / "dmcs.yaml"
    file.write_text(file.read_text().replace("release: FOC", "release: FCO"))
    with pytest.raises(FileProblems) as caught:
        load_lab(lab_folder / "lab.yaml")
    assert {problem.file.name for problem in caught.value.problems} == {"dmcs.yaml"}


def test_a_lab_file_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError) as caught:
        load_lab(Path("none.yaml"))
    assert str(caught.value) == "none.yaml: no such file (correct its name, or make it)"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "lab.yaml: empty (write something, or copy the file of another lab)"),
        (b"just words", "lab.yaml:1: found no keys (begin with name:, as lab_config/simulated.yaml does)"),
        (b"name: a\nplace: caf\xe9\n", "lab.yaml:2: byte 0xe9 is not UTF-8 (save it as UTF-8)"),
        (b"%YAML 9.9\n---\na: 1\n", "lab.yaml:1: a YAML directive (remove it: plain YAML 1.2 is read)"),
        (b'a: "\\U00110000"\n', "lab.yaml:1: not YAML: found invalid Unicode character escape code (correct the syntax)"),
        (b"x" * 1_000_001, "lab.yaml: larger than 1,000,000 bytes (name the right file)"),
        (b"[" * 50_000, "lab.yaml:1: not YAML: exceeded maximum nesting depth (correct the syntax)"),
        (b"[" * 40 + b"]" * 40, "lab.yaml: nested deeper than any lab file (correct the syntax)"),
        (b"a: &a [" + b"1," * 999 + b"]\nb: &b [" + b"*a," * 999 + b"]\nc: [" + b"*b," * 999 + b"]\n",
         "lab.yaml: nested deeper than any lab file (correct the syntax)"),
        (b"a: &a [*a]\n", "lab.yaml: nested deeper than any lab file (correct the syntax)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_lab_at_all(lab_folder: Path, content: bytes, message: str) -> None:
    (lab_folder / "lab.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_lab(lab_folder / "lab.yaml")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("- dmc: x\n", "epcl.yaml:1: found no keys (write items below their ids)"),
        ("", "epcl.yaml: empty (write something, or copy the file of another lab)"),
        ("a:\n---\nb:\n", "epcl.yaml:2: not YAML: but found another document (correct the syntax)"),
    ],
)
def test_a_data_file_that_holds_no_items(lab_folder: Path, content: str, message: str) -> None:
    (lab_folder / "epcl.yaml").write_text(content)
    with pytest.raises(ConfigurationError) as caught:
        load_lab(lab_folder / "lab.yaml")
    assert str(caught.value) == message


def test_real_devices_and_twins_do_not_stand_behind_one_gateway(lab_folder: Path) -> None:
    file = lab_folder / "lab.yaml"
    file.write_text(file.read_text().replace("gateway: simulated", "gateway: http://127.0.0.1:1"))
    with pytest.raises(ConfigurationError) as caught:
        load_lab(file)
    assert str(caught.value).splitlines()[1:] == [
        "  lab.yaml:8: dcc.users.IS: has no key and certificate, and the gateway is not simulated "
        "(name both by reference, env:NAME or file:path)",
        "  lab.yaml:10: rigs.one: has twins behind a real gateway (put such rigs into a lab file of their own)",
        "  lab.yaml:17: rigs.two: has twins behind a real gateway (put such rigs into a lab file of their own)",
    ]


def test_a_rig_without_simulation_and_doors(lab_folder: Path) -> None:
    file = lab_folder / "lab.yaml"
    simulation = "    simulation: {starts: 2025-03-03T08:00:00Z}\n"
    file.write_text(file.read_text().replace(simulation, ""))
    with pytest.raises(ConfigurationError) as caught:
        load_lab(file)
    assert str(caught.value).splitlines()[1:] == [
        "  lab.yaml:10: rigs.one: has real devices behind a simulated gateway "
        "(put such rigs into a lab file of their own)",
        "  lab.yaml:14: rigs.one.devices.ESME: has no door, and the rig no simulation "
        "(say how the device is reached, under door:)",
        "  lab.yaml:15: rigs.one.devices.CH: has no door, and the rig no simulation "
        "(say how the device is reached, under door:)",
    ]

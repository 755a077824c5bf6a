"""The command line's manners: help, wrong usage, exit codes, and JSON alone on standard output."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from harness.cli.app import app
from harness.cli.output import ExitCode, exit_code_of
from harness.domain.errors import ConfigurationError, DeviceFault, LinkLost, UsageError

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def commands() -> dict[str, object]:
    """Every command and group, by the words that call it."""
    found: dict[str, object] = {}

    def walk(group: object, words: tuple[str, ...]) -> None:
        for name, command in sorted(getattr(group, "commands", {}).items()):
            found[" ".join((*words, name))] = command
            walk(command, (*words, name))

    walk(typer.main.get_command(app), ())
    return found


def test_every_command_explains_itself_and_every_option(harness) -> None:
    for words, command in commands().items():
        assert command.help, words
        for parameter in command.params:
            assert parameter.name == "help" or parameter.help, f"{words}: {parameter.name}"
    for option in ("--help", "-h"):
        shown = harness("run", option)
        assert shown.returncode == 0
        assert "Plan, run over the rigs, record" in shown.stdout


def test_help_says_in_words_what_an_option_takes() -> None:
    for words in commands():
        arguments = words.split()
        if arguments[0] == "device":
            arguments[1:1] = ["ioc-1", "ESME"]
        shown = CliRunner().invoke(app, [*arguments, "-h"]).stdout
        assert shown.startswith("Usage: "), words
        assert not re.findall(r"<[^ ]+>", shown), words
    shown = CliRunner().invoke(app, ["run", "-h"]).stdout
    assert re.search(r"^  PACK  +The packs to run", shown, re.MULTILINE)
    for option in ("--srv SRV", "--group GROUP", "--device DEVICE", "--answers FILE", "--lab FILE"):
        assert f"  {option}  " in shown


def test_the_version_is_the_installed_ones(harness) -> None:
    shown = harness("--version")
    assert (shown.returncode, shown.stdout) == (0, f"smets1-harness {version('smets1-harness')}\n")


def test_help_lists_every_command_of_the_first_level(harness) -> None:
    shown = harness("--help").stdout
    for words in commands():
        assert words.partition(" ")[0] in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["packs", "--lab", "no-such.yaml"], "no-such.yaml"),
        (["run"], "Missing argument"),
        (["run", "no-such-pack"], "there is no pack 'no-such-pack'"),
        (["run", "standard-srvt-ioc", "--seed", "x"], "Invalid value for '--seed'"),
        (["run", "standard-srvt-ioc", "--fault", "esme-import-stick"], "did you mean 'esme-import-stuck'?"),
        (["run", "standard-srvt-ioc", "--witnessed", ""], "--witnessed: no name is given"),
        (["run", "standard-srvt-ioc", "--witnessed", " "], "--witnessed: no name is given"),
        (
            ["packs", "--prove", "security-ioc", "--faults", "esme-import-stuck", "--place", "gsme"],
            "no fault is named esme-import-stuck and has place gsme ('harness faults' lists them)",
        ),
        (["nonsense"], "No such command"),
        (["ttm", "coverage", "no-such-run"], "no-such-run is no run folder"),
        (["ttm", "coverage", "--allure", "no-such-folder"], "no-such-folder is not a folder"),
        (["ttm", "heatmap", "no-such-run"], "no-such-run is no run folder"),
        (["evidence", "verify", "no-such-run"], "no-such-run is no run folder"),
        (["simulate", "--rig", "no-such-rig"], "no-such-rig"),
    ],
)
def test_wrong_usage_is_told_plainly_with_exit_code_2(harness, tmp_path: Path, arguments, told: str) -> None:
    if arguments[0] in {"run", "simulate"}:
        arguments = [*arguments, "--runs", str(tmp_path)]
    done = harness(*arguments)
    assert done.returncode == 2, done.stderr
    assert told in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "standard-srvt-ioc"],
        ["lab", "check", "ioc-1"],
        ["packs", "--prove", "standard-srvt-ioc", "--faults", "esme-import-stuck"],
        ["simulate", "--rig", "ioc-1"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_where_nothing_can_be_kept_each_command_says_so_in_one_line(harness, arguments) -> None:
    for folder, why in (("README.md", "Not a directory"), ("/proc/runs", "No such file or directory")):
        done = harness(*arguments, "--runs", folder)
        assert done.returncode == 2, done.stderr
        [line] = done.stderr.strip().splitlines()
        assert line.partition(": ")[2].startswith(f"{folder} cannot be written: {why} (name another folder")


def test_a_damaged_lab_file_is_told_with_file_and_line(harness, lab_file: Path) -> None:
    lab_file.write_text(lab_file.read_text().replace("seed: ", "sead: "))
    done = harness("rigs", "--lab", lab_file)
    assert done.returncode == 2
    assert f"{lab_file}:5: sead: unknown key 'sead' (did you mean 'seed'?)" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [["packs"], ["rigs"], ["faults"], ["ttm", "check"]])
def test_json_stands_alone_on_standard_output(harness, arguments) -> None:
    done = harness(*arguments, "--json")
    assert done.returncode in {0, 1}
    assert isinstance(json.loads(done.stdout), list)


def test_the_schema_is_json(harness) -> None:
    assert json.loads(harness("lab", "schema").stdout)["title"]


def test_the_lab_may_come_from_the_environment(harness) -> None:
    assert harness("rigs", HARNESS_LAB="no-such.yaml").returncode == 2


def test_the_family_of_an_error_decides_the_exit_code() -> None:
    assert exit_code_of(ConfigurationError("x")) is exit_code_of(UsageError("x")) is ExitCode.USAGE
    assert exit_code_of(LinkLost("x")) is ExitCode.BLOCKED
    assert exit_code_of(DeviceFault("x")) is ExitCode.BAD


def test_packs_are_listed_by_their_test_functions_which_are_fewer_than_planned_tests() -> None:
    assert "test functions" in CliRunner().invoke(app, ["packs"], env={"COLUMNS": "200"}).stdout


@pytest.mark.parametrize("command", ["rigs", "packs", "faults"])
def test_on_eighty_columns_nothing_is_hidden_and_no_name_is_broken(
    on_a_terminal, harness, command: str
) -> None:
    shown = COLOUR.sub("", on_a_terminal(sys.executable, "-m", "harness", command))
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "…" not in shown
    for row in json.loads(harness(command, "--json").stdout):
        assert next(iter(row.values())) in shown

"""``harness driver new``: a third party's driver package, working and tested, to be filled with a device."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from harness.cli.choosing import chosen
from harness.cli.output import ExitCode, tell
from harness.domain.errors import UsageError
from harness.domain.words import DeviceType

TEMPLATES: Final = Path(__file__).parent / "templates" / "driver"
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LONGEST_NAME: Final = 24  # lines with the name in them stay within the linter's length
_BESIDE: Final = ("tests", "stand_in", "test_driver")  # what the package's own folder has beside it


def new(name: str, device_type: str, folder: Path) -> ExitCode:
    """Write the package into a new folder of its name, and say what to do with it."""
    _check_name(name)
    type_ = chosen({each.value: each for each in DeviceType}, device_type, "device type")
    target = folder / name
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already", remedy="choose another name, or another --folder")
    _write(target, rendered(name, type_))
    tell(f"made {target}: a driver for {article(type_)} {type_} that speaks {protocol(name)}")
    tell(f"try it:   cd {target} && python -m pytest")
    tell(f"use it:   plugins: [{name}] in the lab file, and protocol: {protocol(name)} at the {type_}'s door")
    tell("fill it:  README.md says in which order")
    return ExitCode.GOOD


def _write(target: Path, files: Mapping[str, str]) -> None:
    """All of it or nothing: it is made beside the target, and renamed when it is whole."""
    try:
        with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as beside:
            package = Path(beside, target.name)
            for path, content in files.items():
                file = package / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8")
            package.rename(target)
    except OSError as error:
        raise UsageError(
            f"{target} cannot be made: {error.strerror}",
            remedy="see that the folder is there and may be written to, or choose another --folder",
        ) from error


def rendered(name: str, type_: DeviceType) -> dict[str, str]:
    """The files of the package: path → content."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    words: dict[str, Any] = {
        "name": name,
        "klass": "".join(part.capitalize() for part in name.split("_")) + "Driver",
        "type": type_.value,
        "article": article(type_),
        "meter": type_ is not DeviceType.CH,
        "protocol": protocol(name),
    }
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Python, not HTML; the name is checked
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return {
        re.sub(r"^package/", f"{name}/", template.removesuffix(".jinja")): environment.get_template(
            template
        ).render(words)
        for template in sorted(environment.list_templates())
    }


def protocol(name: str) -> str:
    """How a door names what the driver speaks."""
    return name.replace("_", "-")


def article(type_: DeviceType) -> str:
    """As the device type is spoken."""
    return "an" if type_ is DeviceType.ESME else "a"


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME or keyword.iskeyword(name):
        raise UsageError(
            f"{name!r} is not a valid name for a package",
            remedy=f"up to {_LONGEST_NAME} small letters, digits and underscores, as in acme_meter",
        )
    if hasattr(builtins, name) or name in _BESIDE or find_spec(name) is not None:
        raise UsageError(
            f"Python, or the package itself, has a {name!r} already, which the new one would hide",
            remedy="choose another name, such as the vendor's with the device's",
        )

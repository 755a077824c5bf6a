"""Messages held against the DUIS and MMC schemas that the lab names."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import cast

from lxml import etree

from harness.domain.errors import ConfigurationError

_SHOWN = 5  # problems told of one message


class Schemas:
    """The DUIS schema of a folder, compiled; it brings the MMC and signature schemas in by itself."""

    def __init__(self, folder: Path) -> None:
        self._lock = threading.Lock()  # a compiled schema keeps the log of its last validation
        files = sorted(folder.glob("DUIS*.xsd"))
        if len(files) != 1:
            raise ConfigurationError(
                f"{folder}: expected one DUIS*.xsd, found {len(files)}",
                remedy="name the folder with the DUIS, MMC and xmldsig schemas, or none, in dcc.schemas",
            )
        try:
            self._schema = etree.XMLSchema(etree.parse(str(files[0])))
        except (etree.XMLSchemaParseError, etree.XMLSyntaxError, OSError) as error:
            raise ConfigurationError(
                f"{files[0]} does not compile: {error}",
                remedy="the schemaLocation of its imports must name files beside it, without spaces",
            ) from None

    def problems(self, root: etree._Element) -> tuple[str, ...]:
        """What the schema says against the document; nothing where it is valid."""
        with self._lock:
            if self._schema.validate(root):
                return ()
            log = cast("Iterable[etree._LogEntry]", self._schema.error_log)
            return tuple(f"schema: line {error.line}: {error.message}" for error in islice(log, _SHOWN))


@cache
def schemas(folder: Path | None) -> Schemas | None:
    """The folder's schemas, compiled once a process; ``None`` where the lab names none."""
    return None if folder is None else Schemas(folder)

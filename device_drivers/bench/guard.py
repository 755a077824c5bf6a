"""The guard of a bench: a process that outlives its parent long enough to bring the bench to its safe state.

It is started with the bench, as a script, and waits. While its parent lives it does nothing and imports
nothing. When the pipe on its standard input ends, the parent has let go of the bench: with the word ``safe``
all is well; without it the parent has died, were it by SIGKILL, and the guard calls the driver's rescue, if
the rig is not somebody else's by then. It holds the bench's lock, inherited, until it is done, and writes
what it came to beside that lock.

On the pipe: eight bytes of length, then a pickle of plain values (:data:`Orders`).
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import time
from importlib import import_module
from typing import Any, NoReturn, TypedDict

SAFE = b"safe"
LENGTH_BYTES = 8


class Orders(TypedDict):
    """What a guard is told when it is posted."""

    path: list[str]  # where modules are found
    rescue: str  # "module:function"; it tells in words what it did
    arguments: bytes  # a pickle, opened only when the rescue is called
    permit: bytes  # a pickle of a name as above and arguments: who knows whether the rig is the parent's
    report: str  # the file that tells what the guard came to
    attempts: int
    pause: float  # seconds between attempts
    limit: int  # seconds after which the guard gives up


def main() -> int:
    """Wait for the end of the pipe, and act if it came without a word."""
    for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)  # meant for the parent: its end is what counts
    pipe = sys.stdin.buffer
    length = int.from_bytes(pipe.read(LENGTH_BYTES))
    content = pipe.read(length)
    if pipe.read() == SAFE or len(content) < length or not length:
        return 0  # let go in peace, or dead before anything was switched
    orders: Orders = pickle.loads(content)  # noqa: S301 - from the parent, over its pipe
    sys.path[:] = orders["path"]
    signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(orders["limit"])
    _report(orders, "failed", "the guard did not finish")
    if not orders["permit"]:
        return _rescue(orders)
    return _permitted(orders)


def _permitted(orders: Orders) -> int:
    from harness.domain.errors import HarnessError

    name, arguments = pickle.loads(orders["permit"])  # noqa: S301 - from the parent, over its pipe
    try:
        with _named(name)(*arguments) as refusal:
            if not refusal:
                return _rescue(orders)
    except HarnessError as error:
        refusal = str(error)
    _report(orders, "left alone", f"the rig is not the dead owner's any more: {refusal}")
    return 0


def _rescue(orders: Orders) -> int:
    from harness.domain.errors import HarnessError

    problem = ""
    for attempt in range(1, orders["attempts"] + 1):
        try:
            arguments: tuple[Any, ...] = pickle.loads(orders["arguments"])  # noqa: S301 - as above
            done = _named(orders["rescue"])(*arguments)
        except (HarnessError, OSError) as error:
            problem = f"attempt {attempt}: {error}"
            _report(orders, "failed", problem)
            if attempt < orders["attempts"]:
                time.sleep(orders["pause"])
        else:
            _report(orders, "safe", f"{done}, at attempt {attempt}")
            return 0
    return 1


def _named(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(import_module(module), function)


def _report(orders: Orders, outcome: str, told: str) -> None:
    new = f"{orders['report']}.new"
    with open(new, "w", encoding="utf-8") as file:  # noqa: PTH123 - pathlib is not worth its import here
        json.dump({"outcome": outcome, "told": told, "at": time.strftime("%FT%TZ", time.gmtime())}, file)
    os.replace(new, orders["report"])  # noqa: PTH105 - as above


def _too_late(_signal: int, _frame: object) -> NoReturn:
    raise TimeoutError("the guard ran out of time")


if __name__ == "__main__":
    sys.exit(main())

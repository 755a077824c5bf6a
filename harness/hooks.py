"""The hook specifications: the only door between the harness, its drivers and third parties.

A plugin is a module or object with functions named as below, handed over by an entry point of the group
``smets1_harness`` or by the lab file's ``plugins:``. Built-ins come in by the same door.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pluggy

from harness.domain.errors import ConfigurationError, LabFault

if TYPE_CHECKING:
    from harness.domain.faults import Fault
    from harness.domain.findings import Finding
    from harness.domain.heard import Heard, HeardStream
    from harness.domain.instruments import Bench, Device, LabClock, RigController, RigInHand
    from harness.domain.lab import Door, EpclEntry, Lab, Rig, RigDevice
    from harness.domain.migration import Migration
    from harness.domain.misuse import Adversary
    from harness.domain.parameters import Parameter
    from harness.domain.stand_in import Listing
    from harness.domain.words import DeviceType

GROUP = "smets1_harness"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


Fence = Callable[[], None]
"""Returns while the rig is still ours; else raises StaleLease, a :class:`~harness.domain.errors.LabFault`.

Asked before each write to a device, bench or controller, from any thread. What it raises is let through: it
is no fault of what was to be written to. Nothing is written after it, not even to say goodbye.
"""


@dataclass(frozen=True, slots=True)
class Permit:
    """How a process that outlives the rig's owner asks whether it may still make the rig safe in his name.

    ``ask`` names a context manager, ``module:function``, which is called with the arguments. It yields why
    nothing may be done, or an empty text; then nobody else gets the rig until it is left.
    """

    ask: str
    arguments: tuple[Any, ...]  # for a pickle


def permit_of(fence: Fence) -> Permit | None:
    """The permit that a fence gives for after our death; ``None`` where it knows of no others."""
    gives: Callable[[], Permit] | None = getattr(fence, "permit", None)
    return gives() if gives is not None else None


def unfenced() -> None:
    """The fence of who needs no lease: nobody else can have the rig."""


def still_ours(fence: Fence) -> bool:
    """Whether the rig is ours, for who must let go of it either way."""
    try:
        fence()
    except LabFault:  # the lease is gone, or nobody can tell
        return False
    return True


class Trace(Protocol):
    """Where drivers say what passes over their ports; it lands in the evidence of the attempt in hand."""

    def event(self, source: str, what: str, **detail: Any) -> None:
        """One thing that happened at ``source`` ("ESME", "DCC", "bench"), with JSON-able details."""

    def message(self, source: str, name: str, content: bytes, media_type: str) -> None:
        """One whole message, kept as a file."""


class LabServices(Protocol):
    """What one run of a lab shares: the DCC link and, for a simulated lab, the gateway stub behind it."""

    @property
    def addresses(self) -> Mapping[str, Any]:
        """JSON-able; handed to every worker, which reaches the services by it."""

    def close(self) -> None:
        """Stop the services; never raises twice."""


class StandIn(Protocol):
    """A simulated lab that stands for other tools to talk to, from when it is made until :meth:`close`."""

    @property
    def listing(self) -> Listing:
        """Where everything listens, and the credentials to use."""

    def close(self) -> None:
        """Stop listening; never raises twice."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What a run tells the lab's services when they start, and its rigs when they open."""

    run_id: str
    folder: Path
    seed: int
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a rig is to be taken in hand."""

    devices: Collection[DeviceType] | None = None  # none: all; the doors of the others stay closed
    bench: bool = True  # without it nothing can be switched, and nothing is made safe
    baseline: bool = True  # each device must be the one, with the firmware, that the lab file names


WHOLE: Final = Wanted()


@dataclass(frozen=True, slots=True)
class Transport:
    """A way to reach a port: ``open`` takes the door's parameters and gives a byte transport.

    The transport asks the fence before each write. A door's ``parameters`` are held to those of its transport
    and its driver when the lab file is read. Without theirs, what else stands there is nobody's business.
    """

    name: str
    open: Callable[[Mapping[str, Any], Fence], Any]
    description: str
    parameters: tuple[Parameter, ...] | None = None


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver for a device type behind a protocol; ``connect`` opens the door and gives the device.

    The fence goes to whatever opens the port. The harness asks it before each call of the device as well. A
    device that has a ``close`` is closed when the rig is put down. Where the rig is not ours any more, its
    ``abandon`` is called instead, which lets go of the port and sends nothing; without one it is left alone.
    A device that has a ``supply_was_cut`` is told by it when the bench has switched its supply off, for no
    session outlives that.
    """

    device_type: DeviceType
    protocol: str
    connect: Callable[[RigDevice, Door, Lab, LabClock, Trace, Fence], Device]
    description: str
    parameters: tuple[Parameter, ...] | None = None  # what it reads of the door's, beside the transport


@dataclass(frozen=True, slots=True)
class BenchDriver:
    """A driver for a kind of bench, as a lab file's ``bench.kind`` names it.

    What it needs stands beside that, under ``parameters``.

    ``open`` raises :class:`~harness.domain.errors.BenchFault` where the bench cannot be reached. A bench that
    has a ``close`` is closed, after :meth:`~harness.domain.instruments.Bench.safe`, when the rig is put down.
    Where the rig is not ours any more, only its ``abandon`` is called, if it has one. Fence and ``abandon``
    are as in :class:`Driver`.
    """

    kind: str
    open: Callable[[Rig, Lab, Trace, RigController, Fence], Bench]
    description: str


@dataclass(frozen=True, slots=True)
class LineReading:
    """Reads what a captured line's streams say, as ``carries`` of a lab file's ``captures`` names it."""

    name: str
    read: Callable[[Sequence[HeardStream]], Heard]
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageCheck:
    """What is wrong with the messages of a run that passed between lab and DCC, both ways."""

    messages: Mapping[str, int]  # by kind: request, answer, response, alert
    forged: int  # that tests made wrong on purpose
    by_schema: bool  # whether the lab has the schemas to hold them against
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Renderer:
    """An export made from a finished run folder: ``render`` writes into it and returns what it wrote."""

    name: str
    render: Callable[[Path, Lab], Iterable[Path]]
    description: str


class Specification(Protocol):  # a protocol, since its functions have no bodies
    """Every hook of the harness."""

    @hookspec
    def harness_transports(self) -> Iterable[Transport]:
        """Transports by name, as a lab file's ``door.transport`` names them."""

    @hookspec
    def harness_drivers(self) -> Iterable[Driver]:
        """Drivers by device type and protocol."""

    @hookspec
    def harness_benches(self) -> Iterable[BenchDriver]:
        """Bench drivers by kind."""

    @hookspec
    def harness_line_readings(self) -> Iterable[LineReading]:
        """Readings of captured lines by name: DLMS in its wrapper, or whatever a lab's own WAN speaks."""

    @hookspec
    def harness_faults(self) -> Iterable[Fault]:
        """Twin faults that ``harness run --fault NAME`` can switch on."""

    @hookspec
    def harness_renderers(self) -> Iterable[Renderer]:
        """Exports that are made when a run has ended."""

    @hookspec
    def harness_preload(self, lab: Lab) -> Iterable[str]:
        """Modules that opening the lab's rigs takes: imported once, where workers are forked from.

        None may start a thread. What is left out is imported in each worker when it is needed.
        """

    @hookspec
    def harness_preload_services(self, lab: Lab) -> Iterable[str]:
        """Modules that starting what the lab's runs share takes, for runs that are forked from one process.

        None may start a thread.
        """

    @hookspec(firstresult=True)
    def harness_start_lab(self, lab: Lab, run: RunContext) -> LabServices | None:
        """Start what a run shares. Called once, by the controller, before the first rig opens."""

    @hookspec(firstresult=True)
    def harness_open_rig(
        self,
        lab: Lab,
        rig: Rig,
        services: Mapping[str, Any],
        run: RunContext,
        trace: Trace,
        wanted: Wanted,
        fence: Fence,
    ) -> RigInHand | None:
        """Take what is wanted of a rig in hand. Called in the process that holds the rig's lease.

        A rig that is closed when its lease is gone is let go of without a write to it: another has it.
        """

    @hookspec(firstresult=True)
    def harness_adversary(
        self, lab: Lab, rig: RigInHand, services: Mapping[str, Any], trace: Trace, fence: Fence
    ) -> Adversary | None:
        """Who misuses a rig in hand on purpose, for a security test; what has a ``close`` is closed."""

    @hookspec(firstresult=True)
    def harness_migration(
        self,
        lab: Lab,
        rig: RigInHand,
        entry: EpclEntry,
        services: Mapping[str, Any],
        trace: Trace,
        fence: Fence,
    ) -> Migration | None:
        """The parties of migration, for a rig in hand as an installation of that entry.

        Where this returns, the installation is with its SMSO; ``close`` enrols it again, after each test.
        """

    @hookspec(firstresult=True)
    def harness_vend(self, lab: Lab, device_id: str, pence: int) -> str | None:
        """A UTRN, 20 digits, that tops that meter up by so many pence, from the lab's vending service.

        Asked where the gateway is not simulated: who makes the real codes is not for us to say.
        """

    @hookspec(firstresult=True)
    def harness_check_messages(self, lab: Lab, folder: Path) -> MessageCheck | None:
        """Hold the messages of a run's record once more against schema, signatures and counters."""

    @hookspec(firstresult=True)
    def harness_check_rig(
        self,
        lab: Lab,
        rig: Rig,
        services: Mapping[str, Any],
        run: RunContext,
        trace: Trace,
        fence: Fence,
    ) -> Iterable[Finding] | None:
        """Try every door of a rig by itself, its bench, controller and captures, and say what came back.

        One that is wrong does not hide another. Called in the process that holds the rig's lease; what the
        fence raises is no finding, and comes out.
        """

    @hookspec(firstresult=True)
    def harness_stand_up(
        self, lab: Lab, rigs: Sequence[Rig], run: RunContext, base_port: int
    ) -> StandIn | None:
        """Stand the lab up for other tools, with those of its rigs, on ports from ``base_port``.

        Each rig has a block of ten ports, by its place in the lab file: ESME +0, GSME +1, CH +2. The block
        after the last rig is the DCC's: gateway +0, the lab's own receive endpoint +1. Called by who holds
        the rigs' leases; lab time passes as fast as real time until the stand-in is closed.
        """


def plugin_manager(plugins: Iterable[str] = ()) -> pluggy.PluginManager:
    """A manager with every installed plugin and the named modules registered and validated.

    Raises :class:`ConfigurationError` naming a module that cannot be imported or is not a plugin.
    """
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(Specification)
    manager.load_setuptools_entrypoints(GROUP)
    for name in plugins:
        try:
            manager.register(importlib.import_module(name), name)
        except (ImportError, pluggy.PluginValidationError, ValueError) as error:
            raise ConfigurationError(
                f"plugin {name!r} cannot be loaded: {error}",
                remedy="install it beside the harness or correct the lab file's plugins",
            ) from error
    manager.check_pending()
    return manager

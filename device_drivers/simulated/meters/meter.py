"""What an electricity and a gas meter have in common: registers, profile, tariff, account, supply, power.

**The meter's clock** is lab time plus an offset that writing ``clock`` sets. A profile row holds all that
flowed while the clock showed a time in its half hour, whether once, in part or twice: when the clock leaves
an open half hour, its row is closed with its own time; a half hour that comes again is added to its row.
Half hours that the clock jumps over have no row. Midnights, hours and billing dates that it jumps over
happen once, whatever their number; those that it shows again do not happen again. So the profile always adds
up to the registers, and no charge is made twice. Nothing drifts.

**Without power** the clock runs on and nothing is measured; half hours, charges and captures of that time
are made good when power returns, so that the profile has a row for each half hour.

**Faults**: besides the points of :mod:`device_drivers.simulated.twin`, a meter passes at Point.TICK, by the
register's name, each increment in J (``active_import`` …) or ml (``gas_volume``), and ``tou_registers``
(whole Wh or litres that go to the register of the hour; DROP counts them nowhere and charges nothing); at
Point.ACTION, as ``held``, each :class:`Held` whose time has come (DROP: nothing comes of it). What
passes Point.POWER is said in :mod:`device_drivers.simulated.meters.keeping`. At Point.MONEY pass the amounts
that move the account, in grains: ``consumption``, ``standing_charge``, ``debt_recovery``, ``payment_debt``,
``emergency_lent``, ``emergency_repaid``, ``top_up`` (what a top-up leaves for the balance). At Point.SUPPLY,
by the supply's state, passes whether anything can flow; at Point.CHECK why something is refused or ``""``
(``setting`` with its name in the details, ``obstacle`` to a supply, ``top_up``, ``emergency_credit``), and
whether something is so (``protected`` by a non-disablement period, ``load_limit`` exceeded).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from device_drivers.named.objects import ObjectTable
from device_drivers.simulated.clock import VirtualClock
from device_drivers.simulated.meters.agenda import NEVER, Agenda, Entry, every
from device_drivers.simulated.meters.calendars import NonDisablement, next_billing
from device_drivers.simulated.meters.credit import CreditControl
from device_drivers.simulated.meters.display import display_text
from device_drivers.simulated.meters.energy import DAY, HALF_HOUR, HOUR, Counter, micros, moment
from device_drivers.simulated.meters.holding import Held, Holding
from device_drivers.simulated.meters.keeping import kept_state, restore
from device_drivers.simulated.meters.prepayment import AMOUNTS, GRAIN, Account, grains, grains_per_wh
from device_drivers.simulated.meters.settings import TARIFF_SETTINGS, refusal
from device_drivers.simulated.meters.stepping import SteppingTwin
from device_drivers.simulated.meters.supply import Supply
from device_drivers.simulated.meters.tariff import Tariff
from harness.domain.errors import AccessRefused
from harness.domain.events import Event
from harness.domain.faults import DROP, Interceptions, Point
from harness.domain.lab import RigDevice
from harness.domain.words import SupplyState

_DEBTS: Final = {"payment_debt", "time_debt_1", "time_debt_2"}
_LOWEST, _HIGHEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


class MeterTwin(SteppingTwin):
    """An ESME or GSME. Subclasses say what flows, what a log row holds, and what their kind adds.

    ``sizes`` are the numbers of TOU and of block registers; ``counters`` the registers that a profile row
    differs, in its order. A subclass calls :meth:`begin` when its model is complete.
    """

    def __init__(
        self,
        device: RigDevice,
        clock: VirtualClock,
        interceptions: Interceptions,
        table: ObjectTable,
        *,
        defaults: Mapping[str, Any],
        sizes: tuple[int, int],
        counters: tuple[Counter, ...],
    ) -> None:
        super().__init__(device, clock, interceptions, table)
        self.sizes = sizes
        self.values |= {name: _plain(table, name, value) for name, value in defaults.items()}
        self._factory = dict(self.values)
        self.counters = {counter.name: counter for counter in counters}
        for counter in counters:
            counter.tick = self.tick
        self.tariff = Tariff(self.values, sizes)
        self.account = Account(self.values, moving=self._moving)
        self.supply = Supply(self.event, self._obstacle, self._output)
        self.credit = CreditControl(
            self.device_id,
            self.account,
            self.supply,
            self.event,
            lambda: bool(self._pass(Point.CHECK, "protected", self._calendar.protects(self.time()))),
            lambda item, refusal: str(self._pass(Point.CHECK, item, refusal)),
        )
        self._boundary = [0] * len(counters)  # what the registers showed when the open half hour began
        self._kept: Any = {}
        self.holding = Holding()
        self._usage = Entry(self._close_half_hour, every(HALF_HOUR), again=True)
        self.agenda = Agenda(
            self._usage,
            Entry(lambda _: self._recover("HOURLY"), every(HOUR)),
            Entry(self._end_day, every(DAY)),
            Entry(self._capture_billing, self._next_billing),
            Entry(self.tariff.switch, self.tariff.next_switch, again=True),
            Entry(lambda _: None, self._next_protection, again=True),
            *self.more_entries(),
            Entry(self._do_held, lambda _: self.holding.next(), again=True),  # last: it may aim all anew
        )
        self._offer_items()
        self._offer_commands()

    def _offer_items(self) -> None:
        self.writable |= {"clock", "payment_mode", "access_restricted_before", *_DEBTS}
        self.managed |= {*AMOUNTS, "emergency_credit_active", "last_top_up", "held_until"}
        self.managed |= {name for name in self.values if name.endswith("_counter")}
        self.computed |= {name: partial(self.account.shown, name) for name in AMOUNTS}
        self.computed |= {
            "active_price": self.tariff.price,
            "supply_output": lambda: self.supply.state is SupplyState.ENABLED,
            "supply_state": lambda: self.supply.state.value,
            "emergency_credit_active": lambda: self.account.emergency_active,
            "held_until": self.holding.shown,
        }

    def _offer_commands(self) -> None:
        supply, credit = self.supply, self.credit
        self.commands |= {
            "disconnect": lambda _: supply.disable(),
            "reconnect": lambda _: supply.enable(),
            "disable_supply": lambda _: supply.disable(),
            "enable_supply": lambda _: supply.enable(),
            "arm_supply": lambda _: supply.arm(),
            "top_up": self._top_up,
            "adjust_balance": lambda amount: credit.set_balance(self.account.balance + amount * GRAIN),
            "reset_balance": lambda _: credit.set_balance(0),
            "activate_emergency_credit": lambda _: credit.activate_emergency_credit(),
            "restrict_access": lambda _: self.store({"access_restricted_before": self.time()}),
            "reset_block_counters": lambda _: self._reset_block_counters(),
            "release_settings_at": self._release_later,
            "image_activate_at": self._activate_later,
        }

    def begin(self) -> None:
        """The model is complete, history and all: start the clock."""
        self._boundary = [counter.pulses for counter in self.counters.values()]
        self._reload()
        self.changed()

    # What a kind of meter says

    def more_entries(self) -> Iterable[Entry]:
        """Further agenda entries."""
        return ()

    def read_columns(self) -> tuple[Any, ...]:
        """The register columns of a daily read row."""
        raise NotImplementedError

    def usage_columns(self, pulses: tuple[int, ...]) -> tuple[Any, ...]:
        """The columns of a profile row, from what each counter added."""
        raise NotImplementedError

    def until_energy(self, watt_hours: int) -> int | None:
        """Microseconds until so much more energy has been used; ``None`` if nothing flows."""
        raise NotImplementedError

    def until_pulses(self, pulses: int) -> int | None:
        """Microseconds until the register has moved on so many Wh or litres; ``None`` if nothing flows."""
        raise NotImplementedError

    def reading(self) -> str:
        """The main register, as the display shows it."""
        raise NotImplementedError

    def new_day(self) -> None:
        """What else begins anew at midnight."""

    def new_billing_period(self) -> None:
        """What begins anew when billing data was captured."""

    # Counting and paying

    def judge(self) -> None:
        self.credit.judge()

    def deadlines(self) -> Iterable[int]:
        """When the credit reaches its next level, or the price changes with the block."""
        waits = []
        if (left := self.tariff.left_in_block()) is not None:
            waits.append(self.until_pulses(left))
        room = self.account.until_next_level()
        cost = grains_per_wh(self.tariff.price(), self.values["price_scale"])
        if room is not None and cost > 0:
            waits.append(self.until_energy(-(-room // cost)))
        return [self.at + wait for wait in waits if wait is not None]

    def tick(self, name: str, increment: int) -> int:
        """Pass an increment through the twin's faults."""
        counted: Any = self._pass(Point.TICK, name, increment)
        return 0 if counted is DROP else int(counted)

    def count(self, pulses: int) -> list[tuple[int, int]]:
        """Count pulses under the tariff; the parts at each price, in order."""
        pulses = self.tick("tou_registers", pulses)
        return self.tariff.count(pulses) if pulses > 0 else []

    def pay(self, watt_hours: int, price: int) -> None:
        """Charge the account with energy used."""
        cost = watt_hours * grains_per_wh(price, self.values["price_scale"])
        self.account.consume(self._moving("consumption", cost))

    def _moving(self, why: str, amount: int) -> int:
        passed: Any = self._pass(Point.MONEY, why, amount)
        return 0 if passed is DROP else int(passed)

    # What the agenda holds

    def _close_half_hour(self, due: int) -> None:
        shown = [counter.pulses for counter in self.counters.values()]
        used = tuple(now - before for now, before in zip(shown, self._boundary, strict=True))
        self._boundary = shown
        self.logs["profile"].add_to((moment(due), *self.usage_columns(used)))

    def _end_day(self, due: int) -> None:
        self.logs["daily_read_log"].replace((moment(due), *self.read_columns()))
        due = grains(self.values["standing_charge"], self.values["standing_charge_scale"])
        self.account.charge(self._moving("standing_charge", due))
        self._recover("DAILY")
        self.new_day()

    def _recover(self, period: str) -> None:
        self.account.recover(period, supplied=self.supply.state is not SupplyState.DISABLED)

    def _capture_billing(self, due: int) -> None:
        self.logs["billing_data_log"].replace((moment(due), *self._billing_columns()))
        self.event(Event.BILLING_DATA_CAPTURED)
        self.new_billing_period()

    def _billing_columns(self) -> tuple[Any, ...]:
        return (*self.read_columns(), *(self.account.shown(name) for name in AMOUNTS))

    def _next_billing(self, device: int) -> int:
        return micros(next_billing(self.values["billing_calendar"], moment(device)))

    def _next_protection(self, device: int) -> int:
        switch = self._calendar.next_switch(moment(device))
        return micros(switch) if switch else NEVER

    # Settings and commands

    def check(self, name: str, value: Any) -> str:
        return str(self._pass(Point.CHECK, "setting", refusal(name, value, self.sizes), name=name))

    def store(self, values: Mapping[str, Any]) -> None:
        if "clock" in values:
            self._set_clock(values["clock"])
            return
        if "held_until" in values:  # the lab's way to have a meter forget what it holds
            self.holding.by_name.clear()
            self._reload()
            return
        mode = values.get("payment_mode", self.values["payment_mode"]) != self.values["payment_mode"]
        tariff = bool(TARIFF_SETTINGS & values.keys())
        if mode or tariff:
            self.logs["tariff_change_log"].append((self.time(), *self._billing_columns()))
        for name, value in values.items():
            if name in AMOUNTS:
                self.account.put(name, value)
            elif name == "emergency_credit_active":
                self.account.emergency_active = value
            else:
                self.values[name] = value
        self._reload()
        tenancy = "access_restricted_before" in values
        other = not (mode or tariff or tenancy)
        for code, happened in (
            (Event.PAYMENT_MODE_CHANGED, mode),
            (Event.TARIFF_CHANGED, tariff),
            (Event.ACCESS_RESTRICTED, tenancy),
            (Event.CONFIGURATION_CHANGED, other),
        ):
            if happened:
                self.event(code)

    def _release_later(self, argument: Any) -> None:
        if self._client not in self._held:
            raise AccessRefused("no settings are held", result="temporary-failure")
        self._hold_until(argument, self._held.pop(self._client))

    def _activate_later(self, argument: Any) -> None:
        if not self.values["firmware_pending"]:
            raise AccessRefused("no verified image waits for activation", result="temporary-failure")
        self._hold_until(argument, None)

    def _hold_until(self, argument: Mapping[str, Any], settings: Mapping[str, Any] | None) -> None:
        at = micros(argument["at"])
        if at <= self.device_time:
            raise AccessRefused(f"{argument['at']} has passed", result="other-reason")
        self.holding.put(Held(str(argument["name"]), at, settings))
        self._reload()

    def _do_held(self, due: int) -> None:
        for held in self.holding.due(due):
            passed = self._pass(Point.ACTION, "held", held, client=None)
            if passed is DROP:
                continue
            code = Event.FUTURE_DATED_DONE
            try:
                if passed.settings is None:
                    self._activate_image()
                else:
                    self.store(passed.settings)
            except AccessRefused:
                code = Event.FUTURE_DATED_FAILED
            self.event(code)

    def _set_clock(self, value: datetime) -> None:
        if not _LOWEST <= value < _HIGHEST:
            raise AccessRefused(f"the clock cannot be {value}", result="other-reason")
        new = micros(value)
        self.agenda.leap(new)
        if new < self._usage.due - HALF_HOUR:
            self._usage.happen()
        self.clock_offset = new - self.at
        self._reload()
        self.event(Event.CLOCK_SET)

    def _reload(self) -> None:
        """The clock or a setting has changed: forget what was derived from it."""
        self.tariff.reload(self.device_time)
        self._calendar = NonDisablement(
            self.values["non_disablement_calendar"], self.values["non_disablement_special_days"]
        )
        self.agenda.aim(self.device_time)

    def _reset_block_counters(self) -> None:
        self.tariff.reset_counters()
        self.event(Event.CONFIGURATION_CHANGED)

    def _top_up(self, argument: bytes) -> None:
        utrn = bytes(argument).decode("ascii", "replace")
        self.credit.top_up(utrn, self.device_time // DAY, self.device_time)
        self.values["last_top_up"] = utrn

    def press_enable(self) -> bool:
        """Somebody presses the button that closes an armed supply; whether it closed."""
        with self.clock.lock:
            self.catch_up()
            closed = self.powered and self.supply.press()
            self.changed()
            return closed and self.supply.closed

    def locked_by_tamper(self) -> bool:
        """Whether an open cover keeps the supply off."""
        return bool(self.values["cover_open"]) and self.values["supply_tamper_state"] == "Locked"

    def _output(self, state: SupplyState) -> bool:
        return bool(self._pass(Point.SUPPLY, state, state is SupplyState.ENABLED))

    def _obstacle(self) -> str:
        cover = "the cover is open" if self.locked_by_tamper() else ""
        return str(
            self._pass(Point.CHECK, "obstacle", "the credit is exhausted" if self.credit.hinders() else cover)
        )

    # Power

    def power(self, on: bool) -> None:
        """Power goes or returns."""
        with self.clock.lock:
            if on == self.powered:
                return
            if on:
                self._wake()
            else:
                self._die()

    def _die(self) -> None:
        self.catch_up()
        self._power_event(Event.POWER_LOST)
        self._kept = self._pass(Point.POWER, "state", kept_state(self))
        self._held, self._image = {}, None
        self.powered = False

    def _wake(self) -> None:
        restore(self, {} if self._kept is DROP else self._kept, self._factory)
        shown = [counter.pulses for counter in self.counters.values()]
        self._boundary = [min(pair) for pair in zip(shown, self._boundary, strict=True)]
        self._reload()
        self.plan()
        self.run_to(micros(self.clock.now()))
        self.powered = True
        self._power_event(Event.POWER_RESTORED)
        self.changed()

    def _power_event(self, code: int) -> None:
        if "power_event_log" in self.logs:
            self.logs["power_event_log"].append((self.time(), code))
        self.event(code)

    def display(self) -> str:
        """The text on the meter's display, a line for each thing that it shows now; empty without power."""
        with self.clock.lock:
            if not self.powered:
                return ""
            self.catch_up()
            texts = (self.values["supplier_name"], self.values["message"])
            return display_text(self.time(), self.reading(), self.supply.state, self.account, *texts)


def _plain(table: ObjectTable, name: str, value: Any) -> Any:
    """A default as the item's form gives it back."""
    form = table.items[name].form
    return form.decode(form.encode(value))

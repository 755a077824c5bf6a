"""``make chaos``: every case so many times, a table of what was finished, kept, leaked and left.

``python -m tests.chaos [--case NAME] [--seed N] [--rounds N] [--jobs N] [--keep FOLDER]``; a seed names one
round, which can be repeated by it. Exit code 1 if anything was not as it must be.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from .cases import CASES, CannotBeDone
from .counting import Counts
from .play import play

COLUMNS = ("finished", "kept", "leases leaked", "two owners", "left live", "run twice", "wrong")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--case", action="append", choices=list(CASES), default=[])
    parser.add_argument("--seed", type=int, help="this round alone, of each case")
    parser.add_argument("--rounds", type=int, default=20, help="of each case (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=3, help="rounds at the same time (default: %(default)s)")
    parser.add_argument(
        "--keep", type=Path, help="where to keep the folders of all rounds, not only of bad ones"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cases = options.case or list(CASES)
    seeds = range(1, options.rounds + 1) if options.seed is None else [options.seed]
    base = options.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    say(f"{len(cases)} cases, seeds {', '.join(map(str, seeds))}; folders of rounds that went wrong: {base}")
    began = time.monotonic()
    rounds = [(case, seed) for seed in seeds for case in cases]
    played = play_all(rounds, base, options.jobs, keep=options.keep is not None)
    good = table(cases, played)
    say(f"{len(played)} rounds in {time.monotonic() - began:.0f} s")
    return 0 if good and len(played) == len(rounds) else 1


def play_all(
    rounds: Sequence[tuple[str, int]], base: Path, jobs: int, *, keep: bool
) -> list[tuple[str, Counts | None]]:
    """What came of each; after Ctrl-C of those that had begun."""
    pool = ThreadPoolExecutor(jobs)
    begun = [pool.submit(one, case, seed, base, keep=keep) for case, seed in rounds]
    try:
        wait(begun)
    except KeyboardInterrupt:
        say("no more rounds begin")
    pool.shutdown(cancel_futures=True)
    return [each.result() for each in begun if not each.cancelled()]


def one(case: str, seed: int, base: Path, *, keep: bool) -> tuple[str, Counts | None]:
    """Play a round and say what went wrong; none where this machine cannot do it."""
    folder = base / f"{case.replace(' ', '-')}-{seed}"
    try:
        counts, story, told = play(case, seed, folder)
    except CannotBeDone as lacking:
        say(f"{case}, seed {seed}: cannot be done here: {lacking}")
        return case, None
    if counts.good:
        say(f"{case}, seed {seed}: good ({story})")
    else:
        lines = "\n".join(f"  {line}" for line in told)
        again = f'python -m tests.chaos --case "{case}" --seed {seed}'
        say(f"{case}, seed {seed}: WRONG ({story}; {folder})\n{lines}\n  again: {again}")
    if counts.good and not keep:
        shutil.rmtree(folder)
    return case, counts


def table(cases: Iterable[str], played: Iterable[tuple[str, Counts | None]]) -> bool:
    """Print it; whether all is as it must be."""
    rows: dict[str, list[Counts]] = {case: [] for case in cases}
    for case, counts in played:
        if counts is not None:
            rows[case].append(counts)
    say(f"{'':<20}{'rounds':>8}" + "".join(f"{name:>15}" for name in COLUMNS))
    for case, found in rows.items():
        show(case, found)
    everything = [counts for found in rows.values() for counts in found]
    show("all", everything)
    return all(counts.good for counts in everything)


def show(name: str, found: list[Counts]) -> None:
    total = sum(found, Counts())
    numbers = (
        total.finished, total.kept, total.leaked, total.two_owners, total.left_live, total.twice,
        len(total.wrong),
    )  # fmt: skip
    say(f"{name:<20}{len(found):>8}" + "".join(f"{number:>15}" for number in numbers))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

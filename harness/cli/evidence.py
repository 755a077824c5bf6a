"""``harness evidence``: is every recorded byte still what was recorded."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from harness.cli.output import ExitCode, answer_json, tell
from harness.records.verify import verify_run


def verify(run: Path, *, as_json: bool) -> ExitCode:
    """Every file and line that cannot be trusted, by name; 1 where there is one."""
    problems = verify_run(run)
    if as_json:
        found = [asdict(problem) for problem in problems]
        answer_json({"run": str(run), "verified": not problems, "problems": found})
    else:
        for problem in problems:
            print(problem)
    tell(
        f"{run}: {len(problems)} things are not as they were recorded"
        if problems
        else f"{run}: every recorded byte is what was recorded"
    )
    return ExitCode.BAD if problems else ExitCode.GOOD

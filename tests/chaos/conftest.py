from __future__ import annotations

collect_ignore = ["subject.py", "under_faketime"]  # are for processes that are told what to do with them

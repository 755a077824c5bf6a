"""What all of the harness's own tests stand on."""

from __future__ import annotations

import signal

# A shell's background job, which these tests may be, is started with Ctrl-C ignored, and hands that on to all
# that they start; many of them press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

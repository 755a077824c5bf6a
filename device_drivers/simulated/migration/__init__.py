"""Migration of simulated installations: Requesting Party, S1SP, DCO and Commissioning Party with their files.

The meters, the hub and the inventory are those of the rig and of the simulated DCC: keys are changed in
them, over the WAN. What is known of migration is little; **the split of work, the files' content and the
handling of keys are ours** (:mod:`harness.domain.migration_rules`).

Faults at :attr:`Place.MIGRATION` sit at these points; details always have ``device_id`` (the hub's, where a
step is about the whole installation) and ``now``:

======== ======================================== ================================================
point    item and value                           what ``DROP`` does
======== ======================================== ================================================
CHECK    a rule; what it found wrong, or ``""``   -
REQUEST  "common", "group", "encrypted"; the      -
         file that leaves the Requesting Party
ACTION   "contact", "prepare", "change",          said to be done, and not done
         "give_back"; :class:`.head_end.Order`
WRITE    "pending", "commissioned", "removed";    the inventory is not written
         the inventory's ``Record``;
         "notified": certificates by role
LOG      "attempts"; the new number               -
ALERT    "unenrolled"; whether it is withheld     -
======== ======================================== ================================================
"""

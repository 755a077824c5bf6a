"""The S1SP of the simulated lab: countersigned Service Requests become equivalent steps on a meter.

:mod:`.s1sp` checks and dispatches; each other module serves the SRVs of one subject, by its table ``STEPS``.
To serve another SRV, write a step (a function of a :class:`~.steps.Job` that returns the content of the
response) and enter it there.
"""

"""Events: verdicts that belong to one incident, however differently the model words them.

Every change of an event (opened, grew, closed) is told as a `Change`; the watcher stores it, then announces it.
"""

"""The bridge beside two tools that move rows from an API to another: drt and dlt, each set up as its documents teach.

Each tool gets the same rows to load, and the same faults. The files beside this module are all that a user writes for
it; `${…}` in them is filled in before each run.
"""

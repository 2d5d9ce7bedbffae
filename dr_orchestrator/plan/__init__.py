"""The promise: from a YAML file to a validated plan, with a position for every mistake.

Nothing here acts on a plan, reads a secret, or knows a clock.
"""

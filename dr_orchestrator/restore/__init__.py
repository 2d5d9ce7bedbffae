"""From a recovery point back to living data: a restore, and the restore test that proves it.

A restore test accepts a sandbox by type and nothing else. What it finds is passed, failed or
unproven; every error has exactly one of these meanings (`outcome.py`), and none is green.
"""

"""The verdict: what was promised against what is on record, as pure functions of both and of now.

Nothing here reads a file, a clock or a store. The rules in plain words: docs/reference/verdict.md.
"""

"""When: what is due, worked out from what plans say. What is due is started elsewhere.

In plain words, with what happens when clocks change: docs/reference/schedule.md.
"""

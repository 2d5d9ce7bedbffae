"""What was promised, proven and lost, told to those who rely on it: practice manager, auditor,
insurer, engineer, and whoever looks after many practices.

A report is a pure function of a `Subject`: the same subject gives the same bytes. Nothing here
decides whether a promise was kept; the manager's page may only doubt it. All words lie in `words/`.
"""

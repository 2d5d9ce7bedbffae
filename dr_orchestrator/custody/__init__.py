"""Who can open the backups: keys are made for people, tried, listed, and taken back.

Whoever cannot find the key has no backup. A key is shown once, and is nowhere of ours afterwards.
"""

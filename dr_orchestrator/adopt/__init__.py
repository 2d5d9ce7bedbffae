"""The first day: what is there already, described as a first plan. It changes nothing it looks at.

A database and folders (`dro init`), or a restic repository that another tool fills (`dro adopt`).
"""

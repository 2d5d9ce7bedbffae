"""What keeps a repository healthy: reading it back, and letting go of what nobody promised to keep.

Which points are kept is a pure function (`retention.py`); nothing here decides anything by what
a repository says of its own times.
"""

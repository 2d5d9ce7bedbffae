"""The verdict, told to the people who rely on it.

A page is a pure function of plan, findings, record and the present instant: the same input gives
the same bytes. Nothing here decides whether a promise was kept; it may only doubt it.
"""

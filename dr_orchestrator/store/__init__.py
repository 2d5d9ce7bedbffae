"""What we remember: runs, recovery points, restore tests, and the journal they all went through.

Losing it loses no recovery point, since repositories describe themselves; it loses the proof of
what was kept and tested. So it is written in whole transactions, survives a kill at any instant,
and holds nothing that came out of a patient's record.
"""

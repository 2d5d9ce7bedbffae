"""What a rule or an insurer asks of a practice, as data: each file lists controls with a citation,
and each control is judged by a pure function of what is on record.
"""

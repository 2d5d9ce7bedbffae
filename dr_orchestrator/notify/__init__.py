"""Who is told: what needs a person, and getting word of it to one, once, and again if nobody acts.

What is wrong, and who is to be told now, are pure functions; the channels are at the edge.
"""

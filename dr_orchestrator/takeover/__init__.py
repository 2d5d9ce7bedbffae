"""How a practice comes to another machine: out of its repository alone, or handed over in peace.

What comes in is data: its commands do not run until a person has read them.
"""

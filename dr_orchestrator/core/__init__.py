"""The nouns of recovery: frozen dataclasses without input or output.

Everything above speaks in these. Times are aware UTC datetimes, durations carry their unit in the
name or are `timedelta`, and nothing here can hold a row of a database or the name of a file.
"""

"""Evidence: the hash-chained record that cannot be edited without being found out.

Pure: lines in, verdict out. Reads no clock and no key by itself, and no file but an export.
"""

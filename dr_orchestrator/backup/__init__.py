"""From a system to a recovery point: capture, save, record.

Order is safety here: databases are held before the files their rows refer to; a stream ends only
after its producer succeeded; the manifest is saved after everything it names; the record is written
after the manifest.
"""

"""Disaster recovery as a measured promise.

What happens to a recovery point, folder by folder: a ``plan`` promises it, ``backup`` captures and
records it, ``restore`` brings it back into a ``sandbox`` and proves it, ``compliance`` judges the
record against the promise, and ``report`` tells people. See ``docs/architecture.md``.
"""

__version__ = "0.1.0"

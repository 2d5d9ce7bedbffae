"""Drivers of what is protected: how to capture an asset, and how to bring it back to life.

A driver is found by kind in `registry.py` and keeps the promises of `base.py`.
"""

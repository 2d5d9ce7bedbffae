"""Drivers of where recovery points are kept."""

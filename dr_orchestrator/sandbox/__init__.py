"""Drivers of throw-away places: where a restore test may land, and nothing gets out of."""

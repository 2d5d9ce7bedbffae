"""Damage done on purpose to what came back, to learn which of it the product's checks see.

Only what is restored is damaged, never a production, and every verdict is the product's own: it
comes from the same verifier and the same restorations as that of a restore test.
"""

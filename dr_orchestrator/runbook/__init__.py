"""The steps a responder follows: what they are, how they are followed, drilled and taken along."""

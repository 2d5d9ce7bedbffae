"""The packet for a responder when everything of ours is gone. It needs none of us."""

"""Finding, starting and talking to database programs, for assets and sandboxes alike."""

"""Pages of one HTML file, whoever they are for: how they look, are made safe, and get on disk."""

"""One file a command. Each is thin: read the words, call a use case, print, return an exit code."""

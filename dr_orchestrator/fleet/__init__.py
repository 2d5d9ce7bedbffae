"""Many sites in one view, without a key to any repository: what each publishes, who reads it."""

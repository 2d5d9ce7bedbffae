"""What would make tonight's run fail, found this afternoon. Looks, and changes nothing."""

"""What a config says of the method: read once, checked, and refused by name before anything runs."""

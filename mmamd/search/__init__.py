"""Searches for what distils best: each finds something that terms of the loss then use in any method."""

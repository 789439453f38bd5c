"""Searches for what a config would else have to choose: one algorithm a folder. Their stores are Optuna's."""

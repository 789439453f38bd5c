"""Figures of a run. Each is one function from plain data to a PNG file."""

from mmamd.visualization.selection_plot import plot_selection

__all__ = ['plot_selection']

"""Pictures and the report of a run, drawn from the files of its work_dir.

    read_run -> make_pictures -> write_report, publish

Each picture is one function from plain data to a figure, in a file of its own.
"""

from mmamd.visualization.backends import publish
from mmamd.visualization.pictures import PICTURES, make_pictures
from mmamd.visualization.report import write_report
from mmamd.visualization.run_files import Run, read_run
from mmamd.visualization.selection_plot import plot_selection
from mmamd.visualization.style import DARK, LIGHT, save_figure

__all__ = ['DARK', 'LIGHT', 'PICTURES', 'Run', 'make_pictures', 'plot_selection', 'publish', 'read_run', 'save_figure',
           'write_report']

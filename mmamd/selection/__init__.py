"""Selection of one network among several that have been judged side by side."""

from mmamd.selection.evaluation import CandidateValLoop
from mmamd.selection.npsd_hook import NPSDSelectionHook
from mmamd.selection.panel import Panel

__all__ = ['CandidateValLoop', 'NPSDSelectionHook', 'Panel']

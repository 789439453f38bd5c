"""Optimal selection of the teacher assistant."""

from mmamd.selection.evaluation import CandidateValLoop
from mmamd.selection.npsd_hook import NPSDSelectionHook

__all__ = ['CandidateValLoop', 'NPSDSelectionHook']

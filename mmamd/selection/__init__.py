"""Selection of one network among several that have been judged side by side."""

from mmamd.lazy import lazily

__all__ = ['CandidateValLoop', 'NPSDSelectionHook', 'Panel']
__getattr__ = lazily(__name__, {
    'CandidateValLoop': 'mmamd.selection.evaluation', 'NPSDSelectionHook': 'mmamd.selection.npsd_hook',
    'Panel': 'mmamd.selection.panel'})

"""What differs between tasks, and nothing else: one adapter a task, found by the network that has been built."""

from mmamd.tasks.classification import Classification
from mmamd.tasks.segmentation import Segmentation
from mmamd.tasks.task import TASKS, Task, register_task, task_named, task_of

__all__ = ['TASKS', 'Classification', 'Segmentation', 'Task', 'register_task', 'task_named', 'task_of']

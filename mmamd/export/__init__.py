"""Forms in which the small model leaves the project."""

from mmamd.export.cut import cut_network, save_student, student_config
from mmamd.export.onnx import export_onnx

__all__ = ['cut_network', 'export_onnx', 'save_student', 'student_config']

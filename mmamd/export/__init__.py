"""Forms in which the small model leaves the project."""

from mmamd.export.checked_export import Exported, export_candidate, format_exported
from mmamd.export.cut import config_of, cut_network, save_student, student_config
from mmamd.export.finite import check_finite
from mmamd.export.forms import FORMS
from mmamd.export.metadata import describe
from mmamd.export.onnx import export_onnx
from mmamd.export.plain import plain_config, plain_weights
from mmamd.export.safetensors import load_safetensors, save_model
from mmamd.export.torch_export import export_torch

__all__ = ['FORMS', 'Exported', 'check_finite', 'config_of', 'cut_network', 'describe', 'export_candidate',
           'export_onnx', 'export_torch', 'format_exported', 'load_safetensors', 'plain_config', 'plain_weights',
           'save_model', 'save_student', 'student_config']

"""Forms in which the small model leaves the project."""

from mmamd.export.checked_export import Exported, export_candidate, format_exported
from mmamd.export.comparison import Comparison, Samples, compare
from mmamd.export.cut import config_of, cut_network, save_student, student_config
from mmamd.export.finite import check_finite
from mmamd.export.forms import FORMS
from mmamd.export.int8 import quantise
from mmamd.export.latency import Timing, onnx_call, time_function, torch_call
from mmamd.export.metadata import describe
from mmamd.export.onnx import PREDICT, export_onnx, open_onnx, read_onnx
from mmamd.export.plain import plain_config, plain_weights
from mmamd.export.preprocessing import LAYOUTS
from mmamd.export.safetensors import load_safetensors, save_model
from mmamd.export.torch_export import export_torch

__all__ = ['FORMS', 'LAYOUTS', 'PREDICT', 'Comparison', 'Exported', 'Samples', 'Timing', 'check_finite', 'compare',
           'config_of', 'cut_network', 'describe', 'export_candidate', 'export_onnx', 'export_torch', 'format_exported',
           'load_safetensors', 'onnx_call', 'open_onnx', 'plain_config', 'plain_weights', 'quantise', 'read_onnx',
           'save_model', 'save_student', 'student_config', 'time_function', 'torch_call']

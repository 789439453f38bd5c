"""Street scenes, a teacher that knows them, and a whole run over them."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from pathlib import Path
from street_scenes import scene, write_scenes

import mmamd
from mmamd.registry import MODELS

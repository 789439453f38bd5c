"""Where the benchmarks are; imported first, it lets their modules be found, which import each other by name."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parent.parent.parent / 'benchmarks'
sys.path.insert(0, str(BENCHMARKS))

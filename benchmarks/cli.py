"""The command line: `python -m benchmarks --help`."""

import json
import sys
from pathlib import Path

import click

from benchmarks import ground
from benchmarks.comparing import Session, measure_session
from benchmarks.contenders import SCHEMES, Contender, Ours, Theirs, find_peer
from benchmarks.workload import BATCH, BenchmarkFailed, Load, Mode, Pattern

QUICK_SAGAS = 50

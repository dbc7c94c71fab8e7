"""python -m examples.exam_attempts"""

import sys

from local_stack.example import run_example

if __name__ == "__main__":
    sys.exit(run_example("examples.exam_attempts", services=["attempt_service", "exam_service"]))

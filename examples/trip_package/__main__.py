"""python -m examples.trip_package"""

import sys

from local_stack.example import run_example

if __name__ == "__main__":
    sys.exit(run_example("examples.trip_package", services=["airline", "hotel", "museum", "agency"]))

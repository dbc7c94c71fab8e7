"""python -m examples.order_choreography"""

import sys

from local_stack.example import run_example

if __name__ == "__main__":
    sys.exit(run_example("examples.order_choreography", ["orders", "consumers", "restaurant", "accounting"]))

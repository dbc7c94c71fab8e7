"""python -m examples.user_registration"""

import sys

from local_stack.example import run_example

if __name__ == "__main__":
    sys.exit(run_example("examples.user_registration", services=["user_service", "mail_service", "registration"]))

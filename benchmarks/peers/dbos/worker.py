"""A process that executes the enqueued workflows until it is stopped."""

import signal

import workflow  # noqa: F401  (registers the workflow)
from dbos import DBOS
from reports import report_ready


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    DBOS.launch()
    report_ready()
    try:
        signal.pause()
    except KeyboardInterrupt:
        DBOS.destroy()


if __name__ == "__main__":
    main()

"""celery-saga: chains of tasks on Redis, which also keeps the state. It knows no services, so every worker does all."""

import celery_workers
from measured_run import Unsupported, arguments, measured_run

PEER = "celery_saga"
QUEUE = "celery"
"""The default queue: compensations go there whatever queue the saga was given."""


def main() -> None:
    parser = arguments(PEER)
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    celery_workers.add_worker_arguments(parser)
    options = parser.parse_args()
    with measured_run(options) as run:
        if not options.broker.startswith("redis"):
            raise Unsupported("celery-saga keeps its state in Redis, so its broker is Redis too")
        celery_workers.set_environment(options)
        import create_order_saga

        for number in range(1, options.workers + 1):
            celery_workers.start_worker(run, "create_order_saga", f"worker-{number}", QUEUE)
        measurement = run.measure(create_order_saga.start_saga)
    settings = {**celery_workers.settings(options), "workers": options.workers}
    measurement.print(PEER, settings)


if __name__ == "__main__":
    main()

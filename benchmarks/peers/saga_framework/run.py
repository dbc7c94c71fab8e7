"""saga-framework: the example application's three participants and its orchestrator, one worker process each."""

import celery_workers
from measured_run import arguments, measured_run

PEER = "saga_framework"


def main() -> None:
    parser = arguments(PEER)
    celery_workers.add_worker_arguments(parser, pool="solo", concurrency=1, prefetch=64)
    options = parser.parse_args()
    with measured_run(options) as run:
        celery_workers.set_environment(options)
        import create_order_saga

        for name, queue in celery_workers.QUEUES.items():
            celery_workers.start_worker(run, "create_order_saga", name, queue)
        measurement = run.measure(create_order_saga.start_saga)
    measurement.print(PEER, celery_workers.settings(options))


if __name__ == "__main__":
    main()

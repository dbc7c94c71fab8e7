"""Bare Celery: a task for every message of the saga and nothing else. Sagas of one task a message cannot beat it."""

import celery_workers
from measured_run import arguments, measured_run

PEER = "celery_pingpong"


def main() -> None:
    parser = arguments(PEER)
    celery_workers.add_worker_arguments(parser, pool="solo", concurrency=1, prefetch=64)
    options = parser.parse_args()
    with measured_run(options) as run:
        celery_workers.set_environment(options)
        import pingpong

        for name, queue in celery_workers.QUEUES.items():
            celery_workers.start_worker(run, "pingpong", name, queue)
        measurement = run.measure(pingpong.start_saga)
    measurement.print(PEER, celery_workers.settings(options))


if __name__ == "__main__":
    main()

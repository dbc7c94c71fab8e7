"""Starts the whole reference system on one machine with no server installed.

`python -m local_stack` serves until Ctrl-C (`make demo`); `python -m local_stack smoke` launches the five
sagas, checks how they ended and goes away again (`make smoke`). What belongs here: child processes, their
health and their end, the embedded Redis. What does not: anything a service needs when it runs elsewhere, in a
container for example.

    __main__     the command line, and the one place where an error becomes one line
    plan         what is to be started: directories, addresses and the environment of the children
    stack        the order of starting and stopping
    processes    child processes, their output, their end
    tether       what a child does first, so that it never outlives the stack
    redis_server the embedded Redis
    health       when a part of the system counts as healthy
    smoke        the five sagas over HTTP
    example      the same for an example of its own: its workers, and what it shows
    messages     what is printed, and errors that are one line
"""

"""How fast it is: the reference system under load, measured beside its peers. `python -m benchmarks --help`."""

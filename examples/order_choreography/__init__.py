"""The order flow without an orchestrator: four services that know each other's events; nobody knows the whole."""

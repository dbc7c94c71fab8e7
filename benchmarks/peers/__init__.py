"""Other frameworks doing the work of CreateOrder, each in an environment of its own, to be measured next to ours."""

"""The pure heart: (definition, state, input) -> (state, effects).

No I/O, no clock, no randomness: an input carries the time, and calling user code, sending and writing are effects
that somebody else performs. What user code returns or raises comes back as another input.
"""

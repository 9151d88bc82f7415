"""A crash simulation: the real steps against the real sandbox in one process, under a clock that one seed turns.

Everything that happens is drawn from one seed, so a violation comes back each time its seed is run again.
"""

"""Real parts for tests, benches and the demo: brokers, cameras, doors, whole systems.

Nothing here asserts. `tests/` and `bench/` import from here, and not from each other.
"""

"""Further copies of the decision log, for sites that have outgrown one host: a ClickHouse, an object store.

The segments are the truth, and either copy can be made anew from them or from the store. A copy that is dead
costs nothing but delay. Nothing here is imported unless the settings name a copy; the clients are extras.
"""

"""How bytes move: plan, store, pool, http, verify, and the events they tell."""

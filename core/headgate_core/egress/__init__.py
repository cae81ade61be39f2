"""Which hosts this process may connect to: the operator's list, and the guard that holds to it."""

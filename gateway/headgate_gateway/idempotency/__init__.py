"""One answer for one ``Idempotency-Key``, however often and wherever it is asked for."""

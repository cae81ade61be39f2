"""The gateway: the wire, the stages, the routing, the ledger, the prompts."""

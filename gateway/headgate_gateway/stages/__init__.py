"""The stages: one file each, in the order of `headgate_gateway.order`."""

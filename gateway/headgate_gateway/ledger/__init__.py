"""Money and durability: prices, the journal, the writer."""

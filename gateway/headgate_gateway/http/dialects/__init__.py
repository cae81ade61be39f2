"""Foreign wires: each request becomes a chat body, and the chat reply is told in its own words."""

"""What every component of Headgate shares; it imports none of them."""

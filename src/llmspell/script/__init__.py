"""Scripts: the engine port, the engines behind it, and what drives them."""

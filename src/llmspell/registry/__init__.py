"""The registry of schemas: which versions a store knows, and which keys are held against which of them."""

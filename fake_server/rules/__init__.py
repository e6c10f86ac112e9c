"""The rules of one world: what a task becomes, what it costs, who may ask, and how the client behaved."""

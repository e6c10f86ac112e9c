"""How a server is reached, and how long it lives: names, certificates, the process that started it."""

"""The only loops. They carry out what the machine commands and decide nothing."""

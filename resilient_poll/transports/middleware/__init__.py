"""The transports' insides: layers that decide by the rules, and a thin shell for each colour.

A layer is a generator. It yields what must be done (:mod:`.effects`) and is sent what came
of it, so it is the same in blocking and in awaiting code; a stack of layers is one
generator, run by one shell with one scope.
"""

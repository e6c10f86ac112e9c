"""Pure knowledge of HTTP: no socket, no clock, no library.

``Retry-After``, what an answer and a request are, and which failure means that a request
surely did not arrive.
"""

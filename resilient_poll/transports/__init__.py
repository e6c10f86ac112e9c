"""Everything that touches an HTTP library. It knows nothing of polling.

One thin adapter module per library, imported only for a client of that library; the
exchanges send one request and read one answer, in either colour.
"""

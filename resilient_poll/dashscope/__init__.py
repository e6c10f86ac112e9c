"""The DashScope client: wire words, what answers mean, and the two clients.

Both dialects of one API: ``aisa`` (the AIsa gateway) and ``dashscope`` (the vendor's own).
"""

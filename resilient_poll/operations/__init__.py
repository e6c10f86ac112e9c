"""Declared operations, run over a caller's own httpx or httpx2 client: started once, waited for, resumed."""

"""Naive models that judge the product, and share nothing with it: each keeps all that happened and counts anew.

Where what happened may be two things (a request may have been lost before it arrived, or its answer after), a model
keeps both: it says which states are possible, never which one is true. Nothing here imports what it judges; a test
sees to that.
"""

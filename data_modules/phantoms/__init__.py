"""Physically based synthetic images of bone with exact ground truth.

A phantom makes every command run without private data and is a test instrument: one property of
the image can be changed at a time. It is not evidence about tissue.
"""

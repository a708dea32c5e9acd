"""What the performance figures of this project rest on.

Each module runs with ``python -m benchmarks.NAME`` and prints a JSON object at its end;
``python -m benchmarks.record NAME`` keeps that object for the page on performance.
"""

"""What the performance figures of this project rest on; each module runs with ``python -m``."""

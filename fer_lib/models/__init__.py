"""One file per paper, each reading like the paper's section on its network; pure torch, no I/O."""

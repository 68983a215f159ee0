"""Figures of the demos whose file would grow too long with them: `pictures(result)`, nothing else."""

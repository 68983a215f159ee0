"""Claims of the demos whose file would grow too long with them: `claims(result)`, nothing else."""

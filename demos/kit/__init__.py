"""What demos are made of: the contract, knobs, the lab they compute in, charts, and the runner."""

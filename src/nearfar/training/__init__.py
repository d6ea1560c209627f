"""The loop, optimisers, schedules, checkpoints, and the run folder that they fill."""

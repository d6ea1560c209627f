"""What the sources prove, measured: each statement as an experiment that anyone can rerun."""

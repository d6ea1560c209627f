"""The folder of a run: its file names, what each file must hold, and one writer at a time."""

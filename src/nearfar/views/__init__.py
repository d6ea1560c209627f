"""Random views of a whole batch on its device."""

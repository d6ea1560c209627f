"""How well the uses of features do where the truth is known, for docs/uses_results.md."""

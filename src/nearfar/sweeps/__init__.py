"""Many runs: those below a folder, and studies that make them."""

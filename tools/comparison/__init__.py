"""Every method on Fashion-MNIST, several seeds each: trained, and written to docs/results.md."""

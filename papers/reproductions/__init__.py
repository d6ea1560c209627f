"""Comparisons that the sources publish, trained anew under a protocol that is fixed beforehand."""

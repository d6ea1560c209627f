"""Every objective and every method as the tests check them and the pages tell of them."""

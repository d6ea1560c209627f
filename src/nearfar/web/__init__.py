"""A page on this machine that follows running jobs and browses runs: `nearfar web`."""

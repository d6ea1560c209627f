"""What people do with features: keep them, search them, find copies, outliers and wrong labels."""

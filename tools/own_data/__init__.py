"""`nearfar train PATH` on folders and files of many kinds, beside raw data: docs/own_data.md."""

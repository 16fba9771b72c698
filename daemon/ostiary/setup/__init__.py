"""`sudo ostiary setup`: the first hour of a door."""

"""The hardware of a door: lines and readers in, lock and alarm out, and who watches over it."""

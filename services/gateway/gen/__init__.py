"""Generated from proto/ by `make proto`: edit the proto instead."""

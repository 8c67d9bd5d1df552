"""The Complete Journey sample and the café simulator."""

"""What each Service Reference Variant does to a meter, read and proven on the meter itself."""

//! Rates of the segment formats. Bodies follow with the formats.

fn main() {}

//! Which endpoint gets the next request: two are drawn, and the one that is likely to answer sooner is taken.

pub mod p2c;
pub mod peak_ewma;

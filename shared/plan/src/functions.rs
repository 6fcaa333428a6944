//! Pure kernels, one file per family. They see samples of one window or values of one step and know neither storage nor plan.

pub mod log_range;
